// What codecs are called, and which of them a browser refuses. Pure.

const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^(hvc1|hev1|dvh1|dvhe)\b/i, 'H.265'],
  [/^(avc1|avc3)\b/i, 'H.264'],
  [/^(vvc1|vvi1)\b/i, 'H.266'],
  [/^av01\b/i, 'AV1'],
  [/^vp0?9\b/i, 'VP9'],
  [/^mp4v\b/i, 'MPEG-4'],
  [/^mp4a\b/i, 'AAC'],
  [/^ac-3\b/i, 'AC-3'],
  [/^ec-3\b/i, 'E-AC-3'],
  [/^opus\b/i, 'Opus'],
  [/^flac\b/i, 'FLAC'],
];

const SOUND = /^(mp4a|ac-3|ec-3|opus|flac)\b/i;

/** `text`: a MIME type, or what a playlist has for `CODECS`. */
function codecsOf(text: string): string[] {
  const list = /codecs="?([^"]+)/i.exec(text)?.[1] ?? (text.includes('/') ? '' : text);
  return [...new Set(list.split(',').map((codec) => codec.trim()))].filter((codec) => codec !== '');
}

/** The ones that it refuses, as `CODECS` has them; all, if it takes each by itself. */
export function refusedOf(text: string, takes: (type: string) => boolean): string {
  const codecs = codecsOf(text);
  const refused = codecs.filter((codec) => !takes(`video/mp4; codecs="${codec}"`));
  return (refused.length > 0 ? refused : codecs).join(',');
}

/** Those of the picture. */
export function videoOf(text: string): string {
  return codecsOf(text)
    .filter((codec) => !SOUND.test(codec))
    .join(',');
}

/**
 * What a <video> says that has no decoder for what MediaSource took. Its error's code does not tell: that of damaged data
 * is the same.
 */
export function lacksDecoder(words: string): boolean {
  return /DECODER_ERROR_NOT_SUPPORTED|kUnsupportedConfig|MEDIA_NOT_SUPPORTED/.test(words);
}

/** `H.265`, or `H.265, Opus`; what has no name here is left out. */
export function namesOf(text: string): string {
  const names = codecsOf(text).map((codec) => NAMES.find(([like]) => like.test(codec))?.[1]);
  return [...new Set(names.filter((name) => name !== undefined))].join(', ');
}
