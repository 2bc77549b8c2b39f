import type { BenchImage } from './image.exec.js'

/** Where one benchmark lives: everything it makes is below these names and goes with them. */
export interface BenchSite {
  /** Random part of every name that the kernel or a daemon sees. */
  readonly id: string
  readonly dir: string
  /** cgroup path, e.g. /berth-bench-1a2b3c. */
  readonly cgroupParent: string
  readonly network: 'bridge' | 'none'
  readonly image: BenchImage
  readonly signal: AbortSignal
}

/** Where a bench serves images: always the same, because its loopback is its own and podman must be told which registry is plain. */
export const BENCH_REGISTRY_PORT = 5000
