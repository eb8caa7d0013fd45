// What is measured, and what is to be reached. Pure.

export const PROFILES = ['balanced', 'low', 'realtime', 'sub_second'];
/** Of these the faults are measured, if nobody asks for others. */
const FAULTY_PROFILES = ['realtime', 'sub_second'];
export const PUT_MS = [60, 150];
export const GET_MS = 40;

/** Seconds, and requests in one; of the profile with PUTs that take so many milliseconds. */
const TARGETS = {
  balanced: { 60: { median: 4.0 }, 150: { median: 4.0 } },
  realtime: { 60: { median: 1.15 } },
  sub_second: {
    60: { median: 0.5, p95: 0.6, stalls: 0, firstPicture: 1, putPerS: 7 },
    150: { median: 0.6, p95: 0.75, stalls: 0, firstPicture: 1, putPerS: 7 },
  },
};

/** What goes wrong while it plays. `lasts`: two thirds of the time that is measured; the others are over at some time. */
export const FAULTS = {
  jitter: { words: 'a fifth of the PUTs takes three times as long', lasts: true },
  lost: { words: '1 % of the media objects is lost', lasts: true },
  uplink: { words: 'uplink of 1.5 × the bitrate', lasts: true },
  outage: { words: 'the store is away for 10 s' },
  restart: { words: 'the agent is restarted (SIGTERM)' },
  kill: { words: 'the agent is killed and started (SIGKILL)' },
  camera: { words: 'the camera is off for 5 s' },
};

/** All that there are, or what of them is asked for: parts of names, `realtime/put60`. */
export function rowsFor(profiles, only) {
  const plain = profiles.flatMap((profile) =>
    PUT_MS.map((putMs) => ({
      name: `${profile}/put${putMs}`,
      profile,
      putMs,
      fault: null,
      targets: TARGETS[profile]?.[putMs] ?? {},
    })),
  );
  const parted = profiles.filter((profile) => profile === 'sub_second');
  // As most cameras are. The page is muted, as it opens; and one that is heard: sound is there later than its picture.
  const sounding = parted.flatMap((profile) =>
    PUT_MS.map((putMs) => ({
      name: `${profile}/sound${putMs}`,
      profile,
      putMs,
      hasSound: true,
      fault: null,
      targets: TARGETS[profile][putMs],
    })),
  );
  const heard = parted.map((profile) => ({
    name: `${profile}/heard`,
    profile,
    putMs: PUT_MS[0],
    hasSound: true,
    isHeard: true,
    fault: null,
    targets: {},
  }));
  // Out of the box itself: no store is between.
  const near = parted.map((profile) => ({
    name: `${profile}/box`,
    profile,
    putMs: 0,
    fault: null,
    targets: {},
  }));
  const faultyRow = (profile, fault) => ({
    name: `${profile}/${fault}`,
    profile,
    putMs: PUT_MS[0],
    fault,
    targets: {},
  });
  const faulty = profiles.flatMap((profile) => Object.keys(FAULTS).map((fault) => faultyRow(profile, fault)));
  // What a late part does to a muted player is another thing where there is sound: silence goes on.
  const faultySounding = parted.flatMap((profile) =>
    ['jitter', 'lost'].map((fault) => ({
      ...faultyRow(profile, fault),
      name: `${profile}/sound-${fault}`,
      hasSound: true,
    })),
  );
  const wanted = only.split(/[\s,]+/).filter(Boolean);
  const rows = [...plain, ...sounding, ...heard, ...near, ...faulty, ...faultySounding];
  if (wanted.length === 0) {
    return rows.filter(({ fault, profile }) => fault === null || FAULTY_PROFILES.includes(profile));
  }
  const unknown = wanted.find((part) => !rows.some(({ name }) => name.includes(part)));
  if (unknown)
    throw new Error(
      `LATENCY_ONLY: no row has ${unknown} in its name: ${rows.map(({ name }) => name).join(' ')}`,
    );
  return rows.filter(({ name }) => wanted.some((part) => name.includes(part)));
}

/** The row takes the place of an older one, in the order of profiles and faults. */
export function withRow(results, row) {
  // Profiles of the caller's own come last.
  const rank = (profile) => (PROFILES.includes(profile) ? PROFILES.indexOf(profile) : PROFILES.length);
  const place = ({ profile, putMs, hasSound, isHeard, fault }) => [
    fault === null ? 0 : 1,
    rank(profile),
    (hasSound ? 1 : 0) + (isHeard ? 1 : 0),
    putMs,
    Object.keys(FAULTS).indexOf(fault),
  ];
  const before = (one, other) => {
    const [a, b] = [place(one), place(other)];
    return a.map((part, i) => part - b[i]).find((difference) => difference !== 0) ?? 0;
  };
  return [...results.filter(({ name }) => name !== row.name), row].sort(before);
}

/** Which targets were missed, in words; `null` where there are none. */
export function missed(targets, figures) {
  const names = Object.keys(targets);
  if (names.length === 0) return null;
  return names
    .filter(
      (name) =>
        figures[name] === null || figures[name] === undefined || round(figures[name], name) > targets[name],
    )
    .map(
      (name) =>
        `${WORDS[name]} ${figures[name] === null ? 'none' : round(figures[name], name)} > ${targets[name]}`,
    );
}

const WORDS = {
  median: 'median',
  p95: 'p95',
  stalls: 'stalls',
  firstPicture: 'first picture',
  putPerS: 'PUT/s',
};

/** As the table has it: `status.json`, once in a minute or when the phase changes, is not in the targets. */
const round = (value, name) =>
  name === 'putPerS' ? Math.round(value * 10) / 10 : Math.round(value * 100) / 100;
