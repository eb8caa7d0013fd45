// How long the stream has had nothing new to say. Pure: time is an argument.
//
// Where nobody asks, silence is no news of the stream: a player that has enough, rests, or is only about to ask again.

export class Silence {
  private unaskedUntilMs = Number.NEGATIVE_INFINITY;

  /** In seconds. `isAsked`: the stream could have told by now. */
  look(nowMs: number, newsAtMs: number, isAsked: boolean): number {
    if (!isAsked) this.unaskedUntilMs = nowMs;
    return (nowMs - Math.max(newsAtMs, this.unaskedUntilMs)) / 1000;
  }
}
