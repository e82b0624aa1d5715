/** Options of this process that apply to any script, such as `--import tsx`, without those of its own script. */
export function nodeOptions(execArgv: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < execArgv.length; at += 1) {
    const option = execArgv[at] ?? '';
    if (/^(-e|--eval|-p|--print|-pe)$/.test(option)) at += 1;
    else if (
      !/^--(eval|print|input-type|inspect|test|watch|cpu-prof|heap-prof|prof)\b|^-[ciep]$/.test(option)
    )
      kept.push(option);
  }
  return kept;
}
