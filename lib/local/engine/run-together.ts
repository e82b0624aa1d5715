/** Runs a few at a time. The first failure ends the others, and nothing new is started. */
export async function runTogether<T>(
  items: readonly T[],
  concurrent: number,
  outer: AbortSignal,
  run: (item: T, index: number, signal: AbortSignal) => Promise<unknown>,
): Promise<unknown[]> {
  const failed = new AbortController();
  const signal = AbortSignal.any([outer, failed.signal]);
  const results: unknown[] = new Array(items.length);
  const waiting = items.entries();
  let failure: { readonly error: unknown } | undefined;
  const worker = async () => {
    for (const [index, item] of waiting) {
      if (signal.aborted) return;
      try {
        results[index] = await run(item, index, signal);
      } catch (error) {
        failure ??= { error };
        failed.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrent, items.length) }, worker));
  if (failure !== undefined) throw failure.error;
  return results;
}
