import { parseTaskId } from '@berth/core'
import { type LogLine, listTasksQuerySchema, logsQuerySchema, type Task } from '@berth/domain'
import { Controller, Get, Inject, Param, Query } from '@nestjs/common'
import { ApiTags } from '@nestjs/swagger'
import { Deps } from '../deps.js'
import { parseInput } from '../parse-body.js'
import { Allow } from '../policy.guard.js'
import { collectLogs } from './collect-logs.exec.js'

@ApiTags('tasks')
@Allow('user')
@Controller('api/v1/tasks')
export class TasksController {
  constructor(@Inject(Deps) private readonly deps: Deps) {}

  @Get()
  async list(@Query() query: unknown): Promise<{ items: readonly Task[]; next: string | null }> {
    const { limit, cursor, service, node, state, current } = parseInput(listTasksQuerySchema, query)
    const items = await this.deps.read.tasks({
      current,
      limit: limit + 1,
      ...(service ? { service } : {}),
      ...(node ? { node } : {}),
      ...(state ? { state } : {}),
      ...(cursor ? { after: cursor } : {}),
    })
    return {
      items: items.slice(0, limit),
      next: items.length > limit ? (items[limit - 1]?.id ?? null) : null,
    }
  }

  @Get(':id')
  get(@Param('id') id: string): Promise<Task> {
    return this.deps.read.task(parseTaskId(id))
  }

  @Get(':id/logs')
  async logs(
    @Param('id') id: string,
    @Query() query: unknown,
  ): Promise<{ items: readonly LogLine[]; unreachable: readonly { node: string }[] }> {
    const { tail } = parseInput(logsQuerySchema, query)
    return collectLogs(this.deps, [await this.deps.read.task(parseTaskId(id))], tail)
  }
}
