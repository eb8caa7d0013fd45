// Runs in the page, before its own scripts: reads the clock out of each picture that the video presents. A classic script; tests load it, too.
(() => {
  const COLUMNS = 20;
  const ROWS = 2;
  const BAND = 2 / 9;
  /** Pixels of a block, as it is drawn here. */
  const SIDE = 8;
  const LOOK_EVERY_MS = 20;
  /** Of 0 to 255: between these a block is neither black nor white. */
  const DARK = 95;
  const BRIGHT = 160;

  function crc8(bytes) {
    let crc = 255;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit += 1) crc = crc & 128 ? ((crc << 1) ^ 7) & 255 : crc << 1;
    }
    return crc;
  }

  /** Milliseconds between the blocks' time and `nowMs`; `null` where they can't be read. `lights`: 40 of 0 to 255. */
  function clockAge(lights, nowMs) {
    if (lights.some((light) => light > DARK && light < BRIGHT)) return null;
    const bytes = [0, 0, 0, 0, 0];
    lights.forEach((light, i) => {
      if (light >= BRIGHT) bytes[i >> 3] |= 128 >> (i & 7);
    });
    if (crc8(bytes.slice(0, 4)) !== bytes[4]) return null;
    const clock = ((bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3]) >>> 0;
    const age = (((nowMs % 2 ** 32) - clock) % 2 ** 32) + 2 ** 32;
    const low = age % 2 ** 32;
    return low > 2 ** 31 ? low - 2 ** 32 : low;
  }

  /** The middle of each block; `pixels` is RGBA of `COLUMNS` by `ROWS` blocks of `SIDE`. */
  function lightsOf(pixels) {
    const lights = [];
    for (let row = 0; row < ROWS; row += 1) {
      for (let column = 0; column < COLUMNS; column += 1) {
        let sum = 0;
        for (let y = 2; y < 6; y += 1) {
          for (let x = 2; x < 6; x += 1) {
            sum += pixels[4 * ((row * SIDE + y) * COLUMNS * SIDE + column * SIDE + x) + 1];
          }
        }
        lights.push(sum / 16);
      }
    }
    return lights;
  }

  globalThis.latencyClock = { clockAge, COLUMNS, ROWS, BAND };
  if (typeof document === 'undefined') return;

  const canvas = document.createElement('canvas');
  canvas.width = COLUMNS * SIDE;
  canvas.height = ROWS * SIDE;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  // Times in milliseconds since 1970, as the camera's.
  const log = {
    openedMs: performance.timeOrigin,
    /** [when it was presented, the clock in it, its media time in seconds] */
    frames: [],
    unread: 0,
    /** [when, currentTime, the buffer's end, playback rate] */
    looks: [],
  };
  globalThis.latencyLog = log;

  function read(video, mediaTime) {
    const nowMs = Date.now();
    const { videoWidth: width, videoHeight: height } = video;
    context.drawImage(video, 0, 0, width, height * BAND, 0, 0, canvas.width, canvas.height);
    const age = clockAge(lightsOf(context.getImageData(0, 0, canvas.width, canvas.height).data), nowMs);
    if (age === null) log.unread += 1;
    else log.frames.push([nowMs, nowMs - age, mediaTime]);
  }

  let video = null;
  function follow(found) {
    video = found;
    const next = (_now, { mediaTime }) => {
      if (video !== found) return;
      read(found, mediaTime);
      found.requestVideoFrameCallback(next);
    };
    found.requestVideoFrameCallback(next);
  }

  setInterval(() => {
    const found = document.querySelector('edge-player')?.video ?? null;
    if (found && found !== video) follow(found);
  }, 4);
  setInterval(() => {
    if (!video?.buffered.length) return;
    const end = video.buffered.end(video.buffered.length - 1);
    log.looks.push([Date.now(), video.currentTime, end, video.playbackRate]);
  }, LOOK_EVERY_MS);
})();
