// How well a view goes since its stream was chosen: for the panel, and for who watches many. Pure: time is an argument.
import { Rate } from './rate.ts';
import { type Look, Quality, type Report, type Thresholds } from './report.ts';
import type { Counts } from './totals.ts';

type Seen = Pick<Look, 'moving' | 'excused' | 'latency' | 'waitedMs'>;

export class Gauge {
  requestsPerSecond: number | null = null;
  private readonly rate = new Rate();
  private readonly quality: Quality;

  constructor(nowMs: number) {
    this.quality = new Quality(nowMs);
  }

  look(nowMs: number, { requests, failedRequests }: Counts, seen: Seen): void {
    this.requestsPerSecond = this.rate.look(nowMs, requests);
    this.quality.look(nowMs, { ...seen, requests, failedRequests });
  }

  report(nowMs: number, limits: Thresholds, told: Pick<Report, 'src' | 'state' | 'stalls'>): Report {
    return this.quality.report(nowMs, limits, told);
  }
}
