import { existsSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

/** Where a project is in its repository. A repository with several databases has a project for each. */
export interface PlaceInRepository {
  /** The top folder of the repository; the project itself if it is in none. */
  readonly root: string;
  /** The folder of the project relative to it, with `/`. Empty: the project is the repository. */
  readonly path: string;
  /** `path` as a part of names. Empty: the project is the repository. */
  readonly slug: string;
}

export function placeInRepository(folder: string): PlaceInRepository {
  const root = foldersUpFrom(folder).find((one) => existsSync(join(one, '.git'))) ?? folder;
  const path = relative(root, folder).split(sep).join('/');
  const slug = path
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^[^a-z]+|-+$/g, '');
  return { root, path, slug };
}

/** A folder, and those that contain it up to the top of its repository. */
export function foldersToRoot(folder: string, { root }: PlaceInRepository): string[] {
  const folders = foldersUpFrom(folder);
  return folders.slice(0, folders.indexOf(root) + 1);
}

function foldersUpFrom(folder: string): string[] {
  const folders = [folder];
  for (let one = dirname(folder); one !== folders.at(-1); one = dirname(one)) folders.push(one);
  return folders;
}
