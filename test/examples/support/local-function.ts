import { type HttpResponse, openHttpEndpoint } from './http-endpoint.ts';

const NAME = 'thumbnails';

/** A Lambda function whose concurrency the API of Lambda reads and sets. */
export class LocalFunction {
  readonly name = NAME;
  exists = true;
  /** Null: it has no reserved concurrency. */
  reserved: number | null = 5;
  provisioned = 0;
  /** Seconds. */
  timeout = 1;
  /** The calls that change something. */
  changes: string[] = [];
  /** How many calls of each kind fail first, and with what. */
  refusal: { error: string; times: number } | undefined;
  readonly #refused = new Map<string, number>();
  #endpoint: Awaited<ReturnType<typeof openHttpEndpoint>> | undefined;

  static async open(): Promise<LocalFunction> {
    const local = new LocalFunction();
    local.#endpoint = await openHttpEndpoint(({ route, body }) => local.#answer(route, body));
    return local;
  }

  get url(): string {
    return this.#endpoint?.url ?? '';
  }

  async close(): Promise<void> {
    await this.#endpoint?.close();
  }

  #answer(route: string, body: string): HttpResponse {
    if (this.refusal !== undefined) {
      const refused = this.#refused.get(route) ?? 0;
      this.#refused.set(route, refused + 1);
      if (refused < this.refusal.times) return failure(429, this.refusal.error);
    }
    if (!this.exists) return failure(404, 'ResourceNotFoundException');
    switch (route) {
      case `GET /2015-03-31/functions/${NAME}/configuration`:
        return json({ FunctionName: NAME, Timeout: this.timeout });
      case `GET /2019-09-30/functions/${NAME}/concurrency`:
        return json(this.reserved === null ? {} : { ReservedConcurrentExecutions: this.reserved });
      case `GET /2019-09-30/functions/${NAME}/provisioned-concurrency`:
        return json({
          ProvisionedConcurrencyConfigs:
            this.provisioned === 0
              ? []
              : [{ RequestedProvisionedConcurrentExecutions: this.provisioned, Status: 'READY' }],
        });
      case `PUT /2017-10-31/functions/${NAME}/concurrency`:
        return this.#put(JSON.parse(body).ReservedConcurrentExecutions);
      case `DELETE /2017-10-31/functions/${NAME}/concurrency`:
        this.changes.push('delete');
        this.reserved = null;
        return { status: 204 };
      default:
        return failure(400, 'UnknownOperationException');
    }
  }

  #put(reserved: number): HttpResponse {
    if (reserved < this.provisioned) return failure(400, 'InvalidParameterValueException');
    this.changes.push(`put ${reserved}`);
    this.reserved = reserved;
    return json({ ReservedConcurrentExecutions: reserved });
  }
}

function json(value: unknown): HttpResponse {
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}

function failure(status: number, error: string): HttpResponse {
  return {
    ...json({ Type: 'User', Message: `refused: ${error}` }),
    status,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': error },
  };
}
