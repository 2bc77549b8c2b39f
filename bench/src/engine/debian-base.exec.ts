import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../command.exec.js'
import { layerOf, packArchive } from './big-image.exec.js'

export const BASE = 'localhost/berth-bench-debian:1'
const PROGRAMS = [
  'base-files',
  'bash',
  'coreutils',
  'dash',
  'findutils',
  'gawk',
  'grep',
  'gzip',
  'mawk',
  'perl-base',
  'sed',
  'tar',
  'util-linux',
]

/**
 * An archive with a small Debian of one layer: the files of this host's own packages and of all that they depend on, so that no network is
 * needed. @throws bench.command_failed where the host is no Debian
 */
export async function makeDebianBase(dir: string, signal: AbortSignal): Promise<string> {
  mkdirSync(dir)
  const script = `set -e
    pkgs=$(apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances ${PROGRAMS.join(' ')} | grep '^[a-z0-9]' | sort -u)
    for pkg in $pkgs; do dpkg -L "$pkg" 2>/dev/null || true; done | sort -u | sed -E 's#^/(bin|sbin|lib|lib32|lib64|libx32)(/|$)#/usr/\\1\\2#' |
      grep -vE '^/(\\.|usr/share/(doc|man|locale|info)(/|$))' | sort -u | while read -r path; do if [ -e "$path" ]; then echo ".$path"; fi; done > "$1"
    for link in bin sbin lib lib64; do if [ -L /$link ]; then echo "./$link"; fi; done >> "$1"
    sort -u "$1" -o "$1"`
  const list = join(dir, 'list')
  writeFileSync(join(dir, 'list.sh'), script)
  await run('bash', [join(dir, 'list.sh'), list], { signal })
  const tar = join(dir, 'base.tar')
  await run('tar', ['-C', '/', '--numeric-owner', '--no-recursion', '-cf', tar, '-T', list], { signal })
  return packArchive(dir, BASE, [await layerOf(tar)], signal)
}
