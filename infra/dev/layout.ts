/** Where everything of one lab lives. Pure: a lab's name and its hosts decide every path, address, port and kernel name. */
export interface HostLayout {
  readonly name: string
  readonly address: string
  readonly namespace: string
  /** Bridge end of the host's cable, in the root namespace; at most 15 characters. */
  readonly cable: string
  readonly root: string
  readonly runRoot: string
  readonly cgroup: string
  readonly joinTokenFile: string
  readonly bootIdFile: string
}

export interface LabLayout {
  readonly name: string
  readonly stateDir: string
  readonly runDir: string
  readonly logDir: string
  readonly bridge: string
  readonly gateway: string
  readonly prefix: number
  readonly cgroup: string
  readonly postgresPort: number
  readonly httpPort: number
  readonly httpsPort: number
  readonly grpcPort: number
  readonly webPort: number
  readonly agentPort: number
  readonly tokenFile: string
  readonly supervisorSocket: string
  readonly hosts: readonly HostLayout[]
}

const LAB_NAME = /^[a-z][a-z0-9]{0,7}$/

/** Lab 0 is the user's own; tests use others beside it. @throws RangeError for a name that is not 1-8 of a-z, 0-9 */
export function labLayout(name: string, hostCount: number): LabLayout {
  if (!LAB_NAME.test(name))
    throw new RangeError(
      `lab name ${JSON.stringify(name)} must be 1 to 8 characters a-z, 0-9 and start with a letter`,
    )
  const index = name === 'lab' ? 0 : 1 + (hash(name) % 40)
  const stateDir = name === 'lab' ? '/var/lib/berth-lab' : `/var/lib/berth-lab-${name}`
  const runDir = name === 'lab' ? '/run/berth-lab' : `/run/berth-lab-${name}`
  const subnet = `10.${210 + index}.0`
  const port = 7400 + index * 10
  const cgroup = `/berth-${name}`
  return {
    name,
    stateDir,
    runDir,
    logDir: `${stateDir}/logs`,
    bridge: `bl-${name}`,
    gateway: `${subnet}.1`,
    prefix: 24,
    cgroup,
    httpPort: port,
    grpcPort: port + 1,
    webPort: port + 2,
    agentPort: port + 3,
    httpsPort: port + 4,
    postgresPort: port + 5,
    tokenFile: `${stateDir}/api-token`,
    supervisorSocket: `${runDir}/supervisor.sock`,
    hosts: Array.from({ length: hostCount }, (_, i) =>
      hostLayout({ name, stateDir, runDir, subnet, cgroup }, i),
    ),
  }
}

/** Forty labs have addresses of their own; two names may fall on the same ones, and then only one of them can be up. */
export const sharesAddresses = (one: LabLayout, other: LabLayout): boolean =>
  one.name !== other.name && one.gateway === other.gateway

interface Base {
  readonly name: string
  readonly stateDir: string
  readonly runDir: string
  readonly subnet: string
  readonly cgroup: string
}

function hostLayout(lab: Base, index: number): HostLayout {
  const letter = hostLetters(index)
  const name = `server-${letter}`
  return {
    name,
    address: `${lab.subnet}.${11 + index}`,
    namespace: `berth-${lab.name}-${name}`,
    cable: `bl${lab.name}-${letter}`,
    root: `${lab.stateDir}/hosts/${name}`,
    runRoot: `${lab.runDir}/${name}`,
    cgroup: `${lab.cgroup}/${name}`,
    joinTokenFile: `${lab.stateDir}/hosts/${name}.join-token`,
    bootIdFile: `${lab.runDir}/${name}.boot-id`,
  }
}

/** a … z, then aa, ab, … */
export function hostLetters(index: number): string {
  const letter = String.fromCharCode(97 + (index % 26))
  return index < 26 ? letter : hostLetters(Math.floor(index / 26) - 1) + letter
}

function hash(text: string): number {
  return [...text].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) >>> 0, 7)
}
