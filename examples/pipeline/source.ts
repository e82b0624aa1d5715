import type { App } from 'aws-cdk-lib';

/** The source repository of the pipelines, from the context `source` in cdk.json. */
export interface Source {
  /** A connection to GitHub, GitLab or Bitbucket. Create it once in the console. */
  readonly connectionArn: string;
  readonly owner: string;
  readonly repo: string;
  readonly branch: string;
}

export function sourceOf(app: App): Source {
  const context: { connectionArn?: string; repository?: string; branch?: string } | undefined =
    app.node.tryGetContext('source');
  const [owner, repo] = context?.repository?.split('/') ?? [];
  if (!context?.connectionArn || !owner || !repo) {
    throw new Error(
      'cdk.json: the context "source" requires "connectionArn" and "repository" ("owner/name").',
    );
  }
  return { connectionArn: context.connectionArn, owner, repo, branch: context.branch ?? 'main' };
}
