import { Controller, Get, Inject, Res } from '@nestjs/common'
import { ApiTags } from '@nestjs/swagger'
import type { FastifyReply } from 'fastify'
import { Deps } from '../deps.js'
import { Allow } from '../policy.guard.js'

export const VERSION = '0.1.0'

@ApiTags('system')
@Allow('public')
@Controller()
export class SystemController {
  constructor(@Inject(Deps) private readonly deps: Deps) {}

  @Get('api/v1/version')
  version(): { version: string } {
    return { version: VERSION }
  }

  @Get('healthz')
  health(): { ok: true } {
    return { ok: true }
  }

  @Get('readyz')
  async ready(
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ ready: boolean; database: boolean; leader: boolean }> {
    const state = await this.deps.isReady()
    if (!state.ready) reply.code(503)
    return state
  }
}
