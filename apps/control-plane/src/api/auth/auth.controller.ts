import '@fastify/cookie'
import { fault } from '@berth/core'
import { type ApiToken, createTokenSchema, loginSchema, type Session } from '@berth/domain'
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Put, Req, Res } from '@nestjs/common'
import { ApiTags } from '@nestjs/swagger'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { SECURE_SESSION_COOKIE, SESSION_COOKIE } from '../../auth/secrets.js'
import { Deps } from '../deps.js'
import { parseInput } from '../parse-body.js'
import { Allow, type AuthenticatedRequest } from '../policy.guard.js'

const passwordSchema = z.strictObject({
  password: z.string().min(12, 'must have at least 12 characters').max(1024),
})

@ApiTags('auth')
@Allow('user')
@Controller('api/v1')
export class AuthController {
  constructor(@Inject(Deps) private readonly deps: Deps) {}

  @Post('session')
  @Allow('public')
  @HttpCode(200)
  async login(
    @Body() body: unknown,
    @Req() request: AuthenticatedRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Session> {
    const { name, password } = parseInput(loginSchema, body)
    this.limit(name, request.ip)
    const actor = await this.deps.auth.checkPassword(name, password)
    if (!actor)
      throw fault.unauthenticated(
        'auth.failed',
        'name or password is wrong; a one-time password works only once (npm run up prints a new one)',
      )
    this.deps.loginsByName.reset(name)
    const secret = await this.deps.auth.createSession(actor.userId)
    const secure = request.protocol === 'https'
    reply.setCookie(secure ? SECURE_SESSION_COOKIE : SESSION_COOKIE, secret, {
      path: '/',
      httpOnly: true,
      sameSite: 'strict',
      secure,
    })
    return { user: { name: actor.name, role: 'admin' } }
  }

  private limit(name: string, ip: string): void {
    const nowMs = this.deps.clock.monotonicMs()
    const waitMs = Math.max(this.deps.loginsByIp.take(ip, nowMs), this.deps.loginsByName.take(name, nowMs))
    if (waitMs > 0)
      throw fault.resourceExhausted(
        'auth.rate_limited',
        `too many sign-in attempts: try again in ${Math.ceil(waitMs / 1000)} s`,
        { retryAfterMs: waitMs, params: { seconds: Math.ceil(waitMs / 1000) } },
      )
  }

  @Get('session')
  session(@Req() request: AuthenticatedRequest): Session {
    return { user: { name: request.actor?.name ?? '', role: 'admin' } }
  }

  @Delete('session')
  @HttpCode(204)
  async logout(
    @Req() request: AuthenticatedRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    if (request.sessionSecret) await this.deps.auth.endSession(request.sessionSecret)
    for (const name of [SESSION_COOKIE, SECURE_SESSION_COOKIE]) reply.clearCookie(name, { path: '/' })
  }

  @Put('session/password')
  @HttpCode(204)
  async setPassword(@Body() body: unknown, @Req() request: AuthenticatedRequest): Promise<void> {
    const { password } = parseInput(passwordSchema, body)
    if (request.actor?.via !== 'session')
      throw fault.permissionDenied(
        'auth.session_required',
        'a password is set by its owner in the dashboard, not by a token',
      )
    await this.deps.auth.setPassword(request.actor.userId, password, request.sessionSecret ?? '')
  }

  @Post('ws-tickets')
  ticket(@Req() request: AuthenticatedRequest): { ticket: string } {
    return { ticket: this.deps.tickets.issue(request.actor?.name ?? '') }
  }

  @Get('tokens')
  async tokens(@Req() request: AuthenticatedRequest): Promise<{ items: readonly ApiToken[] }> {
    return { items: await this.deps.auth.listTokens(request.actor?.userId ?? '') }
  }

  @Post('tokens')
  createToken(
    @Body() body: unknown,
    @Req() request: AuthenticatedRequest,
  ): Promise<ApiToken & { token: string }> {
    const { name, expiresInDays } = parseInput(createTokenSchema, body)
    return this.deps.auth.createToken(request.actor?.userId ?? '', name, expiresInDays)
  }

  @Delete('tokens/:id')
  @HttpCode(204)
  async deleteToken(@Param('id') id: string, @Req() request: AuthenticatedRequest): Promise<void> {
    await this.deps.auth.deleteToken(request.actor?.userId ?? '', id)
  }
}
