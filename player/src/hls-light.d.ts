// The package declares types for its full build only; the light one is a subset with the same names.
declare module 'hls.js/light' {
  export * from 'hls.js';
  export { default } from 'hls.js';
}
