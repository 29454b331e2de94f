/**
 * What `get` gives, or undefined where it throws, as it does on a machine for which there is no engine: TCP goes
 * through Node then.
 */
export function engineIfAny<Engine>(get: () => Engine): Engine | undefined {
  try {
    return get();
  } catch {
    return undefined;
  }
}
