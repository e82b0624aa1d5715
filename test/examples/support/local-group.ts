import { type HttpResponse, openHttpEndpoint } from './http-endpoint.ts';

const NAME = 'workers';

interface Instance {
  state: 'Pending' | 'InService' | 'Terminating';
  isProtected?: boolean;
}

/** An Auto Scaling group. Each DescribeAutoScalingGroups finds its instances one step further. */
export class LocalGroup {
  readonly name = NAME;
  exists = true;
  min = 2;
  max = 10;
  desired = 3;
  suspended: string[] = [];
  instances: Instance[] = [];
  status: string | undefined;
  hasWarmPool = false;
  /** The calls that change something. */
  changes: string[] = [];
  /** How many calls of each kind fail first, and with what. */
  refusal: { error: string; times: number } | undefined;
  readonly #refused = new Map<string, number>();
  #endpoint: Awaited<ReturnType<typeof openHttpEndpoint>> | undefined;

  static async open(): Promise<LocalGroup> {
    const group = new LocalGroup();
    group.instances = Array.from({ length: group.desired }, () => ({ state: 'InService' }));
    group.#endpoint = await openHttpEndpoint(({ body }) => group.#answer(new URLSearchParams(body)));
    return group;
  }

  get url(): string {
    return this.#endpoint?.url ?? '';
  }

  async close(): Promise<void> {
    await this.#endpoint?.close();
  }

  /** What a deploy restores. */
  get settings() {
    return { min: this.min, max: this.max, desired: this.desired, suspended: this.suspended.toSorted() };
  }

  #answer(query: URLSearchParams): HttpResponse {
    const action = query.get('Action') ?? '';
    if (this.refusal !== undefined) {
      const refused = this.#refused.get(action) ?? 0;
      this.#refused.set(action, refused + 1);
      if (refused < this.refusal.times) return failure(this.refusal.error);
    }
    if (action === 'DescribeAutoScalingGroups') {
      this.#proceed();
      const isAsked = query.get('AutoScalingGroupNames.member.1') === NAME && this.exists;
      return result(action, `<AutoScalingGroups>${isAsked ? this.#describe() : ''}</AutoScalingGroups>`);
    }
    if (query.get('AutoScalingGroupName') !== NAME || !this.exists) return failure('ValidationError');
    const processes = membersOf(query, 'ScalingProcesses');
    this.changes.push(action);
    switch (action) {
      case 'SuspendProcesses':
        this.suspended = [...new Set([...this.suspended, ...processes])];
        return result(action);
      case 'ResumeProcesses':
        this.suspended = processes.length === 0 ? [] : this.suspended.filter((p) => !processes.includes(p));
        return result(action);
      case 'UpdateAutoScalingGroup':
        return this.#update(numberIn(query, 'MinSize'), numberIn(query, 'DesiredCapacity'));
      default:
        return failure('InvalidAction');
    }
  }

  #update(min: number, desired: number): HttpResponse {
    if (min > this.max || desired < min || desired > this.max) return failure('ValidationError');
    this.min = min;
    this.desired = desired;
    return result('UpdateAutoScalingGroup');
  }

  #proceed(): void {
    this.instances = this.instances
      .filter(({ state }) => state !== 'Terminating')
      .map((instance) => ({ ...instance, state: 'InService' }));
    const missing = this.desired - this.instances.length;
    for (let added = 0; added < missing; added++) this.instances.push({ state: 'Pending' });
    for (const instance of this.instances.slice(this.desired))
      if (instance.isProtected !== true) instance.state = 'Terminating';
  }

  #describe(): string {
    const instances = this.instances.map(
      ({ state, isProtected = false }, at) =>
        `<member><InstanceId>i-${at}</InstanceId><LifecycleState>${state}</LifecycleState><HealthStatus>Healthy</HealthStatus><ProtectedFromScaleIn>${isProtected}</ProtectedFromScaleIn></member>`,
    );
    const suspended = this.suspended.map(
      (name) =>
        `<member><ProcessName>${name}</ProcessName><SuspensionReason>User</SuspensionReason></member>`,
    );
    return [
      `<member><AutoScalingGroupName>${NAME}</AutoScalingGroupName>`,
      `<MinSize>${this.min}</MinSize><MaxSize>${this.max}</MaxSize><DesiredCapacity>${this.desired}</DesiredCapacity>`,
      `<Instances>${instances.join('')}</Instances>`,
      `<SuspendedProcesses>${suspended.join('')}</SuspendedProcesses>`,
      this.status === undefined ? '' : `<Status>${this.status}</Status>`,
      this.hasWarmPool ? '<WarmPoolConfiguration><MinSize>1</MinSize></WarmPoolConfiguration>' : '',
      '</member>',
    ].join('');
  }
}

function numberIn(query: URLSearchParams, name: string): number {
  return Number(query.get(name) ?? Number.NaN);
}

function membersOf(query: URLSearchParams, name: string): string[] {
  return [...query].filter(([key]) => key.startsWith(`${name}.member.`)).map(([, value]) => value);
}

function result(action: string, content = ''): HttpResponse {
  return xml(
    200,
    `<${action}Response xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><${action}Result>${content}</${action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></${action}Response>`,
  );
}

function failure(code: string): HttpResponse {
  return xml(
    400,
    `<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type><Code>${code}</Code><Message>refused: ${code}</Message></Error><RequestId>1</RequestId></ErrorResponse>`,
  );
}

function xml(status: number, body: string): HttpResponse {
  return { status, headers: { 'content-type': 'text/xml' }, body };
}
