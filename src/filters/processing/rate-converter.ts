/** Changes the rate of interleaved samples; every push of 10 ms returns 10 ms. */
export interface RateConverter {
  push(samples: Int16Array): Int16Array;
}

export type CreateRateConverter = (options: {
  inputRate: number;
  outputRate: number;
  numChannels: number;
}) => RateConverter;
