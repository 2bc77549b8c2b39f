import type { DriverGift } from '../../host-view.js'

interface ResultInterface {
  readonly name?: string
  readonly mac?: string
  readonly sandbox?: string
}
interface ResultIp {
  readonly address?: string
  readonly gateway?: string
  readonly interface?: number
}

/** What a plugin printed for ADD (CNI 0.3.0 and later, section 5): addresses, gateways and hardware address of the container's interface. Pure. */
export function readCniResult(result: unknown, interfaceName: string): DriverGift {
  const { ips, interfaces } = (result ?? {}) as { ips?: unknown; interfaces?: unknown }
  const links = Array.isArray(interfaces) ? (interfaces as readonly ResultInterface[]) : []
  const inside = links.findIndex(({ name, sandbox }) => name === interfaceName && Boolean(sandbox))
  const own = (Array.isArray(ips) ? (ips as readonly ResultIp[]) : []).filter(
    ({ interface: index }) => index === undefined || inside < 0 || index === inside,
  )
  return {
    addresses: own.flatMap(({ address }) => parseAddress(address)),
    gateways: own.flatMap(({ gateway }) => (gateway ? [gateway] : [])),
    macAddress: links[inside]?.mac,
  }
}

const parseAddress = (text: unknown): DriverGift['addresses'] => {
  const [, ip, prefix] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(String(text)) ?? []
  return ip && prefix ? [{ ip, prefix: Number(prefix) }] : []
}

/** The words of a plugin that failed: its error object (section 4) or whatever it wrote. Pure. */
export function cniFailure(stdout: string, stderr: string, code: number): string {
  try {
    const { msg, details } = JSON.parse(stdout) as { msg?: string; details?: string }
    if (msg) return details ? `${msg} (${details})` : msg
  } catch {
    // A plugin that crashed prints no object.
  }
  const text = (stderr || stdout).trim().split('\n').at(-1)?.slice(0, 500)
  return text || `exit code ${code}`
}
