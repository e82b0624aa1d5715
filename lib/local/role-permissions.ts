import type { Template, TemplateReferences } from './template-references.ts';

/** What a role may do, as far as the local AWS checks it. */
export type RolePermissions = readonly RolePermission[];

interface RolePermission {
  readonly action: string;
  /** ARN, in which `*` stands for any characters. */
  readonly resource: string;
}

/** The local AWS checks the actions of these services. */
const CHECKED =
  /^(?:application-autoscaling|cloudwatch|ecs|elasticloadbalancing|events|iam|lambda|scheduler|ssm|states):/;

interface Statement {
  readonly Effect?: string;
  readonly Action?: string | readonly string[];
  readonly Resource?: unknown;
}

/** What the policies of a role in a template allow: those in the role, and those that name the role. */
export function permissionsOfRole(
  { Resources }: Template,
  roleId: string,
  references: TemplateReferences,
): RolePermissions {
  const inline = Resources[roleId]?.Properties?.Policies;
  const attached = Object.values(Resources)
    // A policy that is too long for one role is continued in managed policies.
    .filter(({ Type }) => ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'].includes(Type))
    .map(({ Properties }) => Properties)
    .filter((policy) => (policy?.Roles as { Ref?: string }[] | undefined)?.some(({ Ref }) => Ref === roleId));
  return [...(Array.isArray(inline) ? inline : []), ...attached]
    .flatMap((policy: unknown) => statementsOf(policy))
    .filter(({ Effect }) => Effect === 'Allow')
    .flatMap(({ Action = [], Resource = [] }) => {
      const actions = [Action].flat().filter((action) => CHECKED.test(action));
      if (actions.length === 0) return [];
      const resources = [references.resolve(Resource, roleId)].flat().map(String);
      return actions.flatMap((action) => resources.map((resource) => ({ action, resource })));
    });
}

function statementsOf(policy: unknown): readonly Statement[] {
  const { PolicyDocument } = policy as { PolicyDocument?: { Statement?: Statement | Statement[] } };
  return [PolicyDocument?.Statement ?? []].flat();
}

/** Whether a role allows an action on a resource, as IAM decides it. */
export function isAllowed(permissions: RolePermissions, action: string, resource: string): boolean {
  return permissions.some(
    (permission) => matches(permission.action, action) && matches(permission.resource, resource),
  );
}

/** In IAM, `*` stands for any characters, also `:` and `/`, and `?` for one. */
function matches(pattern: string, value: string): boolean {
  const source = pattern.replace(/[\\^$.|+()[\]{}*?]/g, (character) =>
    character === '*' ? '[^]*' : character === '?' ? '[^]' : `\\${character}`,
  );
  return new RegExp(`^${source}$`).test(value);
}
