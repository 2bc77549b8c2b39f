import { fault } from '@berth/core'
import { isRawNumber, parseExact, type RawNumber } from './raw-number.js'

/**
 * Reads docker's JSON format of a system call filter and gives the OCI one: `archMap` becomes architectures, rules that include or exclude
 * capabilities, architectures or kernel versions are kept or left out for this container on this host.
 */
export interface SeccompContext {
  /** Go's name, as profiles use it: amd64, arm64. */
  readonly arch: string
  /** e.g. `6.1.0-13-amd64` */
  readonly kernel: string
  readonly capabilities: readonly string[]
}

type Numeric = number | RawNumber

interface Argument {
  readonly index: number
  readonly value: Numeric
  readonly valueTwo: Numeric
  readonly op: string
}
export interface SeccompRule {
  readonly names: readonly string[]
  readonly action: string
  readonly errnoRet?: number
  readonly args?: readonly Argument[]
}
export interface OciSeccomp {
  readonly defaultAction: string
  readonly defaultErrnoRet?: number
  readonly architectures?: readonly string[]
  readonly flags?: readonly string[]
  readonly syscalls: readonly SeccompRule[]
}

const ACTIONS = new Set(
  'KILL KILL_THREAD KILL_PROCESS TRAP ERRNO TRACE ALLOW LOG'.split(' ').map((name) => `SCMP_ACT_${name}`),
)
const OPERATORS = new Set('NE LT LE EQ GE GT MASKED_EQ'.split(' ').map((name) => `SCMP_CMP_${name}`))
const FLAGS = new Set(
  ['TSYNC', 'LOG', 'SPEC_ALLOW', 'WAIT_KILLABLE_RECV'].map((name) => `SECCOMP_FILTER_FLAG_${name}`),
)
const NATIVE: Readonly<Record<string, string>> = {
  amd64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
}
const PROFILE_MAX = 4 * 1024 * 1024
const NAME = /^[a-z0-9_]{1,64}$/
const ARCHITECTURE = /^SCMP_ARCH_[A-Z0-9_]{1,32}$/

const invalid = (why: string) =>
  fault.invalidArgument('container.seccomp_invalid', `decoding seccomp profile failed: ${why}`)

type Fields = Readonly<Record<string, unknown>>

/** @throws container.seccomp_invalid naming what is wrong */
export function parseSeccompProfile(text: string, context: SeccompContext): OciSeccomp {
  if (text.length > PROFILE_MAX) throw invalid('it is larger than 4 MiB')
  const profile = asFields(parseJson(text), 'it')
  if (isFilled(profile.architectures) && isFilled(profile.archMap))
    throw invalid('use either "architectures" or "archMap"')
  const flags = optionalList(profile.flags, 'flags').map((flag) => member(flag, FLAGS, 'flag'))
  const architectures = architecturesOf(profile, context)
  return {
    defaultAction: member(profile.defaultAction, ACTIONS, 'defaultAction'),
    ...errno('defaultErrnoRet', profile.defaultErrnoRet),
    ...(architectures.length > 0 ? { architectures } : {}),
    ...(flags.length > 0 ? { flags } : {}),
    syscalls: optionalList(profile.syscalls, 'syscalls').flatMap((entry) => rulesOf(entry, context)),
  }
}

function parseJson(text: string): unknown {
  try {
    return parseExact(text)
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message.slice(0, 200) : 'it is not JSON')
  }
}

function architecturesOf(profile: Fields, { arch }: SeccompContext): readonly string[] {
  const given = optionalList(profile.architectures, 'architectures').map(architecture)
  const mapped = optionalList(profile.archMap, 'archMap').flatMap((entry) => {
    const { architecture: main, subArchitectures } = asFields(entry, 'an entry of archMap')
    if (architecture(main) !== NATIVE[arch]) return []
    return [main, ...optionalList(subArchitectures, 'subArchitectures')].map(architecture)
  })
  return [...given, ...mapped]
}

function architecture(value: unknown): string {
  if (typeof value === 'string' && ARCHITECTURE.test(value)) return value
  throw invalid(`${show(value)} is not an architecture`)
}

function rulesOf(entry: unknown, context: SeccompContext): readonly SeccompRule[] {
  const rule = asFields(entry, 'an entry of syscalls')
  if (rule.name !== undefined && rule.name !== '' && isFilled(rule.names))
    throw invalid('use either "name" or "names" in an entry of syscalls')
  if (!applies(rule, context)) return []
  const names = [...(rule.name ? [rule.name] : []), ...optionalList(rule.names, 'names')].map(syscallName)
  const args = optionalList(rule.args, 'args').map(argumentOf)
  if (names.length === 0) return []
  const action = member(rule.action, ACTIONS, 'action')
  return [
    {
      names,
      action,
      ...(action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE' ? errno('errnoRet', rule.errnoRet) : {}),
      ...(args.length > 0 ? { args } : {}),
    },
  ]
}

function applies(rule: Fields, { arch, kernel, capabilities }: SeccompContext): boolean {
  const includes = conditionOf(rule.includes, 'includes')
  const excludes = conditionOf(rule.excludes, 'excludes')
  const isHere = (kernelMin: string | undefined) =>
    kernelMin === undefined ? undefined : isAtLeast(kernel, kernelMin)
  if (includes.arches.length > 0 && !includes.arches.includes(arch)) return false
  if (!includes.caps.every((name) => capabilities.includes(name))) return false
  if (isHere(includes.minKernel) === false) return false
  if (excludes.arches.includes(arch)) return false
  if (excludes.caps.some((name) => capabilities.includes(name))) return false
  return isHere(excludes.minKernel) !== true
}

function conditionOf(value: unknown, field: string) {
  const condition = value === undefined || value === null ? {} : asFields(value, field)
  const texts = (name: string) => optionalList(condition[name], name).map((text) => asText(text, name))
  const kernel = condition.minKernel
  const minKernel =
    kernel === undefined || kernel === null || kernel === '' ? undefined : asText(kernel, 'minKernel')
  if (minKernel !== undefined && !/^\d{1,5}\.\d{1,5}(\.\d{1,5})?$/.test(minKernel))
    throw invalid(`${show(minKernel)} is not a kernel version`)
  return { caps: texts('caps'), arches: texts('arches'), minKernel }
}

/** Major and minor only, as docker compares them. */
function isAtLeast(kernel: string, least: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10) || 0)
  const [leastMajor = 0, leastMinor = 0] = least.split('.').map(Number)
  return major > leastMajor || (major === leastMajor && minor >= leastMinor)
}

function argumentOf(entry: unknown): Argument {
  const { index, value, valueTwo, op } = asFields(entry, 'an entry of args')
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index > 5)
    throw invalid(`argument index ${show(index)} must be from 0 to 5`)
  return {
    index,
    value: bits64(value, 'value'),
    valueTwo: bits64(valueTwo ?? 0, 'valueTwo'),
    op: member(op, OPERATORS, 'op'),
  }
}

const BITS_64 = 2n ** 64n

function bits64(value: unknown, field: string): Numeric {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  if (isRawNumber(value) && BigInt(value.rawJSON) < BITS_64) return value
  throw invalid(`${field} ${show(value)} must be a whole number of 64 bits`)
}

function errno<K extends string>(field: K, value: unknown): { readonly [key in K]?: number } {
  if (value === undefined || value === null) return {}
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 4_095)
    return { [field]: value } as { readonly [key in K]?: number }
  throw invalid(`${field} ${show(value)} must be from 0 to 4095`)
}

function syscallName(value: unknown): string {
  if (typeof value === 'string' && NAME.test(value)) return value
  throw invalid(`${show(value)} is not the name of a system call`)
}

function member(value: unknown, allowed: ReadonlySet<string>, field: string): string {
  if (typeof value === 'string' && allowed.has(value)) return value
  throw invalid(`${field} ${show(value)} is not supported`)
}

function asText(value: unknown, field: string): string {
  if (typeof value === 'string') return value
  throw invalid(`${field} must hold texts`)
}

const isFilled = (value: unknown): boolean => Array.isArray(value) && value.length > 0

function asFields(value: unknown, what: string): Fields {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Fields
  throw invalid(`${what} must be an object`)
}

function optionalList(value: unknown, field: string): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (Array.isArray(value)) return value
  throw invalid(`${field} must be a list`)
}

const show = (value: unknown): string => String(JSON.stringify(value) ?? value).slice(0, 100)
