import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { leastPrivilegeScript } from '../../lambdas/postgres/least-privilege.ts';

it('docs/configuration.md has the script that creates the role of a deploy', () => {
  const script = leastPrivilegeScript({
    ...{ database: 'shop', role: 'shop_deploy', roleExists: false, superusers: [] },
    ...{ schemas: ['public'], owners: ['shop'], newOwner: 'shop_owner', newOwnerExists: false },
  });

  expect(readFileSync('docs/configuration.md', 'utf8')).toContain(`\n\`\`\`sql\n${script}\`\`\`\n`);
});
