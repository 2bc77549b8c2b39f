import { type Fault, fault } from '@berth/core'
import type { RegistryAccess, RegistryAuth } from '../api.js'
import { isRealmAllowed, parseChallenge } from './challenge.js'
import { type HttpClient, type HttpResponse, readBody } from './http.client.js'

/** Answers a registry's challenges, and remembers the answers by scope. */
export class Authorizer {
  /** scope → Authorization header. */
  private readonly known = new Map<string, string>()

  constructor(
    private readonly host: string,
    private readonly base: URL,
    private readonly http: HttpClient,
    private readonly auth: RegistryAuth,
  ) {}

  static of(
    host: string,
    base: URL,
    http: HttpClient,
    auth: RegistryAuth | undefined,
    access: RegistryAccess | undefined,
  ): Authorizer {
    const isGiven = auth && (auth.username || auth.identityToken || auth.registryToken)
    const configured =
      access?.username === undefined ? {} : { username: access.username, password: access.password ?? '' }
    return new Authorizer(host, base, http, isGiven ? auth : configured)
  }

  headerFor(scope: string): string | undefined {
    if (this.auth.registryToken) return `Bearer ${this.auth.registryToken}`
    return this.known.get(scope)
  }

  /** @throws registry.unauthorized, registry.realm_refused, registry.unreachable */
  async answer(response: HttpResponse, scope: string, signal: AbortSignal | undefined): Promise<string> {
    const challenge = parseChallenge(response.headers['www-authenticate'])
    if (!challenge || this.auth.registryToken) throw this.refused()
    const header =
      challenge.scheme === 'basic'
        ? this.basic()
        : `Bearer ${await this.token(challenge.params, scope, signal)}`
    if (!header) throw this.refused()
    this.known.set(scope, header)
    return header
  }

  private async token(
    params: Readonly<Record<string, string>>,
    scope: string,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const realm = URL.canParse(params.realm ?? '') ? new URL(params.realm ?? '') : undefined
    if (!realm || !isRealmAllowed(realm, this.base))
      throw fault.permissionDenied(
        'registry.realm_refused',
        `registry ${this.host} sends its login to ${params.realm ?? 'nowhere'}, which is not its own`,
      )
    const response = await (this.auth.identityToken
      ? this.refresh(realm, params.service, scope, this.auth.identityToken, signal)
      : this.ask(realm, params.service, scope, signal))
    if (response.status === 200) return this.readToken(response)
    response.body.resume()
    if (response.status < 500 && response.status !== 429) throw this.refused()
    throw fault.unavailable(
      'registry.unreachable',
      `the login of registry ${this.host} answers ${response.status}`,
    )
  }

  private ask(realm: URL, service: string | undefined, scope: string, signal: AbortSignal | undefined) {
    const url = new URL(realm)
    if (service) url.searchParams.set('service', service)
    // One parameter for each, as the token specification has it.
    for (const one of scope.split(' ').filter(Boolean)) url.searchParams.append('scope', one)
    const basic = this.basic()
    if (this.auth.username) url.searchParams.set('account', this.auth.username)
    const headers: Record<string, string> = basic ? { authorization: basic } : {}
    return this.http.send({ method: 'GET', url, headers, ...(signal ? { signal } : {}) })
  }

  /** OAuth2, as docker's `identitytoken` wants it. */
  private refresh(
    realm: URL,
    service: string | undefined,
    scope: string,
    refreshToken: string,
    signal: AbortSignal | undefined,
  ) {
    const form = {
      grant_type: 'refresh_token',
      service: service ?? '',
      scope,
      client_id: 'berth',
      refresh_token: refreshToken,
    }
    const body = new URLSearchParams(form).toString()
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': String(Buffer.byteLength(body)),
    }
    return this.http.send({ method: 'POST', url: realm, headers, body, ...(signal ? { signal } : {}) })
  }

  private async readToken(response: HttpResponse): Promise<string> {
    const text = (await readBody(response, 1024 * 1024)).toString()
    let body: { token?: unknown; access_token?: unknown } | null
    try {
      body = JSON.parse(text) as { token?: unknown; access_token?: unknown }
    } catch {
      body = null
    }
    const token = body?.token ?? body?.access_token
    // What is no token68 would end the header and begin another.
    if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) throw this.refused()
    return token
  }

  private basic(): string | undefined {
    const { username, password } = this.auth
    return username ? `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}` : undefined
  }

  refused(): Fault {
    return fault.unauthenticated(
      'registry.unauthorized',
      `registry ${this.host} refuses the credentials: log in with an account that may use this repository`,
      { params: { host: this.host } },
    )
  }
}
