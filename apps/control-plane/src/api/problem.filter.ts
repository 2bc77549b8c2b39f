import { Fault, fault, type Logger } from '@berth/core'
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ValidationFault } from './parse-body.js'
import { problemOf } from './problem.js'

/** The HTTP edge: every error leaves as a problem. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly logger: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp()
    const request = http.getRequest<FastifyRequest>()
    sendProblem(http.getResponse<FastifyReply>(), request, toFault(error), this.logger)
  }
}

export function sendProblem(
  reply: FastifyReply,
  request: FastifyRequest,
  failure: Fault,
  logger: Logger,
): void {
  if (failure.kind === 'internal')
    logger.error(
      {
        requestId: request.id,
        path: request.url,
        code: failure.code,
        error: failure.message,
        stack: failure.stack,
      },
      'a request failed',
    )
  const problem = problemOf(
    failure,
    String(request.id),
    failure instanceof ValidationFault ? failure.errors : undefined,
  )
  if (failure.retryAfterMs !== undefined)
    reply.header('retry-after', Math.max(1, Math.ceil(failure.retryAfterMs / 1000)))
  void reply
    .code(problem.status)
    .header('content-type', 'application/problem+json')
    .send(JSON.stringify(problem))
}

function toFault(error: unknown): Fault {
  if (error instanceof Fault) return error
  if (error instanceof HttpException) {
    return error.getStatus() === 404
      ? fault.notFound(
          'request.unknown_route',
          'there is nothing at this address: /api/v1/openapi.json lists what there is',
        )
      : fault.invalidArgument('request.invalid', error.message)
  }
  const status = (error as { statusCode?: number }).statusCode
  if (status !== undefined && status >= 400 && status < 500)
    return fault.invalidArgument(
      'request.invalid',
      error instanceof Error ? error.message : 'the request is not valid',
    )
  return Fault.from(error)
}
