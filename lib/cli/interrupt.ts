/**
 * Calls back for Ctrl-C and SIGTERM instead of ending the process, so that the services are started again first.
 * @returns ends it
 */
export function onInterrupt(callback: (times: number) => void): () => void {
  let times = 0;
  const listener = () => {
    times += 1;
    callback(times);
  };
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  return () => {
    process.off('SIGINT', listener);
    process.off('SIGTERM', listener);
  };
}
