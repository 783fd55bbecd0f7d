declare module '@jitsi/rnnoise-wasm/dist/rnnoise-sync.js' {
  /** RNNoise compiled to WebAssembly; pointers are byte offsets into its memory. */
  interface RnnoiseModule {
    readonly ready: Promise<unknown>;
    /** Its memory, replaced when it grows. */
    readonly HEAPF32: Float32Array;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    _rnnoise_create(): number;
    _rnnoise_destroy(state: number): void;
    /** Filters 480 samples from `input` to `output`; returns the probability of speech. */
    _rnnoise_process_frame(state: number, output: number, input: number): number;
  }

  export default function createRnnoise(): RnnoiseModule;
}
