/** Where an engine lives: everything it makes on disk is below `dir`, everything else dies with its namespaces. */
export interface EngineSite {
  /** A short path, because sockets of containers are somewhere below it. */
  readonly dir: string
  readonly socket: string
  /** cgroup path that begins with a name nobody else has, e.g. /docker-cli-1a2b3c. */
  readonly cgroupParent: string
}

/** How an engine is started: its foreground command. It must answer on `site.socket` and leave when it gets SIGTERM. */
export interface EngineCommand {
  readonly name: 'berth' | 'docker'
  readonly argv: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}
