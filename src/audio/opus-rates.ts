/** Rates that Opus takes and gives without a resampler. */
export const opusRates = [8000, 12000, 16000, 24000, 48000] as const;
export type OpusRate = (typeof opusRates)[number];

/** Opus RTP timestamps count 48 kHz samples whatever the coded rate is (RFC 7587, section 4.1). */
export const opusClockRate = 48000;

export const isOpusRate = (rate: number): rate is OpusRate => (opusRates as readonly number[]).includes(rate);
