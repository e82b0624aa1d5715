import { App } from 'aws-cdk-lib';
import { gitHubSubjects, gitLabSubjects, OidcRoleStack } from './oidc-role-stack.ts';

/** The roles with which jobs of GitHub Actions and of GitLab CI start deploys. Delete the one that you do not need. */
const app = new App();
const { github, gitlab, environmentName } = app.node.getAllContext();

new OidcRoleStack(app, 'example-github-role', {
  environmentName,
  issuer: 'token.actions.githubusercontent.com',
  audience: 'sts.amazonaws.com',
  subjects: gitHubSubjects(github),
});

new OidcRoleStack(app, 'example-gitlab-role', {
  environmentName,
  issuer: 'gitlab.com',
  audience: 'https://gitlab.com',
  subjects: gitLabSubjects(gitlab),
});
