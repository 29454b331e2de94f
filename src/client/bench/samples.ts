/** Numbers gathered in a measurement, and what they come to. */
export interface Samples {
  add(value: number): void;
  readonly count: number;
  summary(): Summary;
}

/** `NaN` where there are no samples. */
export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** At most `most` samples; the rest is counted only. */
export function createSamples(most = 200_000): Samples {
  let values = new Float64Array(1_024);
  let length = 0;
  return {
    add(value) {
      if (length === most) return;
      if (length === values.length) {
        const larger = new Float64Array(Math.min(most, length * 2));
        larger.set(values);
        values = larger;
      }
      values[length++] = value;
    },
    get count() {
      return length;
    },
    summary() {
      const sorted = values.slice(0, length).sort();
      const at = (share: number): number => sorted[Math.max(0, Math.ceil(length * share) - 1)] ?? Number.NaN;
      return { count: length, min: at(0), p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
    },
  };
}
