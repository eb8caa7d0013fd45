// As much of S3's signature (version 4) as making a bucket takes.
import { createHash, createHmac } from 'node:crypto';

const hex = (text) => createHash('sha256').update(text).digest('hex');
const mac = (key, text) => createHmac('sha256', key).update(text).digest();

async function put(endpoint, path, query, body, { accessKey, secretKey }) {
  const { host } = new URL(endpoint);
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const day = stamp.slice(0, 8);
  const headers = { host, 'x-amz-content-sha256': hex(body), 'x-amz-date': stamp };
  const names = Object.keys(headers).join(';');
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  const asked = ['PUT', path, query, lines.join(''), names, hex(body)].join('\n');
  const scope = `${day}/us-east-1/s3/aws4_request`;
  const key = [day, 'us-east-1', 's3', 'aws4_request'].reduce(mac, `AWS4${secretKey}`);
  const signature = mac(key, ['AWS4-HMAC-SHA256', stamp, scope, hex(asked)].join('\n')).toString('hex');
  const { host: _, ...sent } = headers;
  return fetch(`${endpoint}${path}${query && `?${query}`}`, {
    method: 'PUT',
    body,
    headers: {
      ...sent,
      authorization: `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
    },
  });
}

/** Its objects may be read by anybody. Throws until the server is up. */
export async function makePublicBucket(endpoint, name, keys) {
  const made = await put(endpoint, `/${name}`, '', '', keys);
  if (!made.ok && made.status !== 409) throw new Error(`bucket: ${made.status} ${await made.text()}`);
  const statement = {
    Effect: 'Allow',
    Principal: { AWS: ['*'] },
    Action: ['s3:GetObject'],
    Resource: [`arn:aws:s3:::${name}/*`],
  };
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  const set = await put(endpoint, `/${name}`, 'policy=', policy, keys);
  if (!set.ok) throw new Error(`policy: ${set.status} ${await set.text()}`);
}
