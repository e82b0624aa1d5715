import { setTimeout as sleep } from 'node:timers/promises';
import { BUILD_RETRY_ERRORS } from '../../lambdas/shared/errors.ts';
import type { BuildIndexResult } from '../../lambdas/shared/payloads.ts';
import type { LambdaHost } from '../../lib/local/lambda-host.ts';
import { eventually } from './eventually.ts';

/** Stands in for the definition where a test needs its own hand on every invocation: the real bundles, one by one. */
export class Drive {
  readonly #host: LambdaHost;

  constructor(host: LambdaHost) {
    this.#host = host;
  }

  invoke(task: 'build-index' | 'check-index', deploy: string, index: string): Promise<BuildIndexResult> {
    return this.#host.invoke(`pg-deploy-step-local-${task}`, { deploy, index }) as Promise<BuildIndexResult>;
  }

  kill(task: 'build-index' | 'check-index'): void {
    this.#host.kill(`pg-deploy-step-local-${task}`);
  }

  /** Goes on as `build-indexes` does after an answer, without its pauses, until the index is done. */
  async toTheEnd(deploy: string, index: string, first: BuildIndexResult): Promise<BuildIndexResult> {
    let answer = first;
    const done = async () => {
      if (answer.state === 'done') return true;
      answer = await this.invoke(answer.state === 'building' ? 'check-index' : 'build-index', deploy, index);
      return answer.state === 'done';
    };
    await eventually(done).toBe(true);
    return answer;
  }

  /** Builds as the definition does when an error has a name that it retries. */
  async build(deploy: string, index: string): Promise<BuildIndexResult> {
    for (;;) {
      try {
        return await this.invoke('build-index', deploy, index);
      } catch (error) {
        if (!(error instanceof Error && RETRIED.includes(error.name))) throw error;
        await sleep(100);
      }
    }
  }
}

const RETRIED: readonly string[] = [...BUILD_RETRY_ERRORS, 'Runtime.ExitError'];
