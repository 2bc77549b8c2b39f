import '@fastify/cookie'
import { fault } from '@berth/core'
import { type CanActivate, type ExecutionContext, SetMetadata } from '@nestjs/common'
import type { Reflector } from '@nestjs/core'
import type { FastifyRequest } from 'fastify'
import { SECURE_SESSION_COOKIE, SESSION_COOKIE } from '../auth/secrets.js'
import type { Actor, AuthStore } from '../store/auth.store.js'

/** `public`: anyone; `user`: a signed-in person or a token. A route without a policy answers nobody. */
export type Policy = 'public' | 'user'
export const POLICY = 'berth:policy'
export const Allow = (policy: Policy) => SetMetadata(POLICY, policy)

export interface AuthenticatedRequest extends FastifyRequest {
  actor?: Actor
  sessionSecret?: string
}

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Denies by default; a cookie may change things only from our own pages (custom header and fetch metadata). */
export class PolicyGuard implements CanActivate {
  constructor(
    private readonly auth: AuthStore,
    private readonly reflector: Reflector,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    // A websocket was let in by its ticket, and the gateway knows only sockets that were.
    if (context.getType() !== 'http') return true
    const policy = this.reflector.getAllAndOverride<Policy | undefined>(POLICY, [
      context.getHandler(),
      context.getClass(),
    ])
    if (policy === 'public') return true
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>()
    const actor = policy === undefined ? undefined : await authenticate(this.auth, request)
    if (!actor)
      throw fault.unauthenticated(
        'auth.required',
        'sign in, or send an API token as "Authorization: Bearer …"',
      )
    if (actor.via === 'session' && !SAFE.has(request.method)) assertSameOrigin(request)
    request.actor = actor
    return true
  }
}

export async function authenticate(
  auth: AuthStore,
  request: AuthenticatedRequest,
): Promise<Actor | undefined> {
  const header = request.headers.authorization
  if (header?.startsWith('Bearer ')) return auth.findToken(header.slice('Bearer '.length).trim())
  const secret = request.cookies[SECURE_SESSION_COOKIE] ?? request.cookies[SESSION_COOKIE]
  if (!secret) return undefined
  request.sessionSecret = secret
  return auth.findSession(secret)
}

function assertSameOrigin(request: FastifyRequest): void {
  const site = request.headers['sec-fetch-site']
  const foreign = site !== undefined && site !== 'same-origin' && site !== 'none'
  if (request.headers['x-berth-request'] === undefined || foreign) {
    throw fault.permissionDenied(
      'auth.csrf',
      'a browser session may change things only from the dashboard: send the header X-Berth-Request, or use an API token',
    )
  }
}
