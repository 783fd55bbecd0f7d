// The results of a run, reduced to pairs of figures that can be compared: what is printed and what is drawn.

const usageRows = [
  ['rssMb', 'memory (RSS)', 'MB'],
  ['rssBeyondProgramMb', "memory beyond the program's own", 'MB'],
  ['cpuSecondsPerRoomMinute', 'CPU, rooms just joined', 's per room-minute'],
  ['warmCpuSecondsPerRoomMinute', 'CPU, warm', 's per room-minute'],
  ['programThreadCpuMs', "CPU of the program's thread, warm", 'ms per second and room'],
  [
    'busiestThreadCpuMs',
    "CPU of the busiest other thread (offhook's engine), warm",
    'ms per second and room',
  ],
  ['otherThreadsCpuMs', 'CPU of all other threads, warm', 'ms per second and room'],
  ['programWakeUpsPerSecond', "wake-ups of the program's thread", 'per second'],
  ['otherWakeUpsPerSecond', 'wake-ups of all other threads', 'per second'],
  ['framesHeardPerSecondAndRoom', 'frames heard', 'per second and room'],
];

/**
 * The comparable rows of a result. `ratio` is offhook's figure divided by the native engine's.
 *
 * @returns {{ label: string, unit: string, native?: number, offhook: number, ratio?: number, note?: string,
 *   spread?: { native?: [number, number], offhook: [number, number] }, higherIsBetter: boolean }[]}
 */
export function rowsOf(result) {
  if (result.failed) return [];
  const { title, unit, native, offhook } = result;
  if (unit === 'usage') {
    const rows = usageRows.map(([key, label, rowUnit]) => ({
      label: `${title}: ${label}`,
      unit: rowUnit,
      native: native[key],
      offhook: offhook[key],
      ratio: offhook[key] / native[key],
      higherIsBetter: key === 'framesHeardPerSecondAndRoom',
    }));
    if (result.floorCpuMs !== undefined) rows.push(floorRow(result));
    if (result.plain) rows.push(plainRow(result));
    return rows;
  }
  const row = {
    label: title,
    unit,
    native: native.median,
    offhook: offhook.median,
    spread: {
      offhook: [offhook.q1, offhook.q3],
      native: native.q1 === undefined ? undefined : [native.q1, native.q3],
    },
    higherIsBetter: unit === 'MB/s' || unit === 'frames per second',
  };
  if (native.notWithinMs !== undefined) {
    row.note = `the native engine did not return within ${native.notWithinMs / 1_000} s`;
  } else if (native.median > 0) {
    row.ratio = offhook.median / native.median;
  }
  if (result.offhookWithoutFilter) {
    const without = result.offhookWithoutFilter.median;
    row.note = [row.note, `offhook without the filter: ${figure(without)} ${unit}`]
      .filter(Boolean)
      .join('; ');
  }
  return [row];
}

/** What the engine thread costs beside the least that one thread can do it for. */
function floorRow({ title, floorCpuMs, offhook }) {
  return {
    label: `${title}: CPU of the engine thread, beside the floor in place of the native engine`,
    unit: 'ms per second and room',
    native: floorCpuMs,
    offhook: offhook.busiestThreadCpuMs,
    ratio: offhook.busiestThreadCpuMs / floorCpuMs,
    note: 'the floor: one thread that only encodes, encrypts, sends, receives, decrypts and decodes',
    higherIsBetter: false,
  };
}

/** What the whole process costs beside the same without encryption. */
function plainRow({ title, plain, offhook }) {
  return {
    label: `${title}: CPU, warm, beside offhook without encryption in place of the native engine`,
    unit: 's per room-minute',
    native: plain.warmCpuSecondsPerRoomMinute,
    offhook: offhook.warmCpuSecondsPerRoomMinute,
    ratio: offhook.warmCpuSecondsPerRoomMinute / plain.warmCpuSecondsPerRoomMinute,
    higherIsBetter: false,
  };
}

/** A figure with three significant digits. */
export function figure(value) {
  if (value === undefined) return '–';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** The rows of a result as lines of text. */
export function describeResult(result) {
  if (result.failed) return [`failed: ${result.failed}`];
  return rowsOf(result).map(({ label, unit, native, offhook, ratio, note }) => {
    const what = label.startsWith(`${result.title}: `) ? `${label.slice(result.title.length + 2)}: ` : '';
    const compared = ratio === undefined ? '' : `, ratio ${ratio.toFixed(2)}`;
    return `${what}native ${figure(native)}, offhook ${figure(offhook)} ${unit}${compared}${note ? ` (${note})` : ''}`;
  });
}
