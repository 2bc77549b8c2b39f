/**
 * Something that happened on this host. Actions are docker's words. Each event is given once, in order, with a strictly growing
 * `atNanos`, so that a reader that left can go on where it was.
 */
export interface RuntimeEvent {
  readonly kind: 'container' | 'image' | 'volume' | 'network' | 'builder' | 'daemon'
  readonly action: ContainerAction | ImageAction | 'mount' | 'unmount' | 'prune' | 'reload'
  /** Of the container, image or network; name of the volume. */
  readonly id: string
  /** docker's actor attributes: name, image, exitCode, signal, execID, labels of the container, … */
  readonly attributes: Readonly<Record<string, string>>
  readonly atNanos: bigint
}

export type ContainerAction =
  | 'attach'
  | 'commit'
  | 'copy'
  | 'create'
  | 'destroy'
  | 'detach'
  | 'die'
  | 'exec_create'
  | 'exec_die'
  | 'exec_start'
  | 'export'
  | 'health_status: healthy'
  | 'health_status: unhealthy'
  | 'kill'
  | 'oom'
  | 'pause'
  | 'rename'
  | 'resize'
  | 'restart'
  | 'start'
  | 'stop'
  | 'top'
  | 'unpause'
  | 'update'
  | 'archive-path'
  | 'extract-to-dir'
  | 'prune'
  | 'connect'
  | 'disconnect'

export type ImageAction =
  | 'build'
  | 'create'
  | 'delete'
  | 'import'
  | 'load'
  | 'prune'
  | 'pull'
  | 'push'
  | 'save'
  | 'tag'
  | 'untag'

export interface EventOptions {
  readonly signal: AbortSignal
  /** Also those that already happened, of the last 1,024. */
  readonly sinceNanos?: bigint
  /** Ends the stream at this time. */
  readonly untilNanos?: bigint
  /** Called once when it has fallen too far behind, for one who may be waiting for somebody else with an event in his hands. */
  readonly onTooSlow?: () => void
}
