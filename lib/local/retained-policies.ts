import type { Resource, Template } from './template-references.ts';

/**
 * The policies that CloudFormation keeps on their roles when they leave the template of a stack, because of their
 * DeletionPolicy.
 */
export class RetainedPolicies {
  readonly #policies = new Map<string, Resource>();

  /** The template as the account has it after the update of the stack: with the policies of earlier templates. */
  addTo(template: Template): Template {
    const retained = Object.fromEntries(this.#policies);
    for (const [id, resource] of Object.entries(template.Resources)) {
      if (resource.Type === 'AWS::IAM::Policy' && /^Retain/.test(resource.DeletionPolicy ?? ''))
        this.#policies.set(id, resource);
    }
    return { ...template, Resources: { ...retained, ...template.Resources } };
  }
}
