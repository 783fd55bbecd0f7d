/** One layer of a track's simulcast, or its only one. */
export interface VideoLayerPlan {
  /** As in RFC 8853; undefined of a track in one layer. */
  rid: 'q' | 'h' | 'f' | undefined;
  /** Width and height of the source are divided by it. */
  scale: number;
  maxBitrateBps: number;
  maxFramesPerSecond: number;
}

/** Size of a picture's shorter and longer side, and what LiveKit's clients send it with. */
interface Preset {
  width: number;
  height: number;
  bitrateBps: number;
  framesPerSecond: number;
}

const preset = (width: number, height: number, kbps: number, framesPerSecond: number): Preset => ({
  width,
  height,
  bitrateBps: kbps * 1_000,
  framesPerSecond,
});

const wide: readonly Preset[] = [
  preset(160, 90, 90, 15),
  preset(320, 180, 160, 15),
  preset(384, 216, 180, 15),
  preset(640, 360, 450, 20),
  preset(960, 540, 800, 25),
  preset(1_280, 720, 1_700, 30),
  preset(1_920, 1_080, 3_000, 30),
  preset(2_560, 1_440, 5_000, 30),
  preset(3_840, 2_160, 8_000, 30),
];
const fourByThree: readonly Preset[] = [
  preset(160, 120, 80, 15),
  preset(240, 180, 100, 15),
  preset(320, 240, 150, 15),
  preset(480, 360, 225, 20),
  preset(640, 480, 300, 20),
  preset(720, 540, 450, 25),
  preset(960, 720, 1_500, 30),
  preset(1_440, 1_080, 2_500, 30),
  preset(1_920, 1_440, 3_500, 30),
];
const screen: readonly Preset[] = [
  preset(640, 360, 200, 3),
  preset(1_280, 720, 400, 5),
  preset(1_280, 720, 1_000, 15),
  preset(1_920, 1_080, 1_500, 15),
  preset(1_920, 1_080, 3_000, 30),
];
const rids = ['q', 'h', 'f'] as const;
const twoLayersFrom = 480;
const threeLayersFrom = 960;
const screenFramesPerSecond = 3;
const minScreenBitrateBps = 150_000;

export interface VideoPlanOptions {
  width: number;
  height: number;
  isScreencast: boolean;
  /** Default true, as in LiveKit's clients. */
  simulcast?: boolean | undefined;
  /** Of the highest layer. */
  maxBitrateBps?: number | undefined;
  maxFramesPerSecond?: number | undefined;
}

/** The layers in which LiveKit's clients publish a track of this size, the lowest first. */
export function planVideoLayers(options: VideoPlanOptions): VideoLayerPlan[] {
  const { width, height, isScreencast, simulcast = true } = options;
  const longer = Math.max(width, height);
  const shorter = Math.min(width, height);
  const ratio = longer / shorter;
  const presets = Math.abs(ratio - 16 / 9) < Math.abs(ratio - 4 / 3) ? wide : fourByThree;
  const fitting = closest(isScreencast ? screen : presets, longer);
  const full: Preset = {
    width: longer,
    height: shorter,
    bitrateBps: options.maxBitrateBps ?? fitting.bitrateBps,
    framesPerSecond: options.maxFramesPerSecond ?? fitting.framesPerSecond,
  };
  const lower = isScreencast ? [lowerScreen(full)] : [presets[1]!, presets[3]!];
  const medium = lower.at(-1)!;
  let chosen = [full];
  if (simulcast && longer >= threeLayersFrom && lower.length > 1) chosen = [...lower, full];
  else if (simulcast && longer >= twoLayersFrom) chosen = [medium, full];
  return chosen.map(({ height: layerHeight, bitrateBps, framesPerSecond }, index) => ({
    rid: chosen.length > 1 ? rids[index] : undefined,
    scale: Math.max(1, shorter / layerHeight),
    maxBitrateBps: bitrateBps,
    maxFramesPerSecond: framesPerSecond,
  }));
}

/** The first preset that is wider, or the widest. */
function closest(presets: readonly Preset[], longer: number): Preset {
  return presets.find(({ width }) => width > longer) ?? presets.at(-1)!;
}

/** Of a screen the second layer has fewer frames rather than less to read. */
function lowerScreen({ width, height, bitrateBps, framesPerSecond }: Preset): Preset {
  const fraction = 4 * Math.max(1, Math.floor(framesPerSecond / screenFramesPerSecond));
  return {
    width: width / 2,
    height: height / 2,
    bitrateBps: Math.max(minScreenBitrateBps, Math.floor(bitrateBps / fraction)),
    framesPerSecond: screenFramesPerSecond,
  };
}
