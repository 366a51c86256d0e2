/** What the worker asks of the fleet's object. Types and its address alone. */
import type { Env } from '../env.ts';
import type { Remote } from '../keys/key-api.ts';
import type { Beat, Member } from './roster.ts';

export interface FleetApi {
  /** @returns how many nodes there are now */
  hear(beat: Beat): number;
  /** Those heard of in the last seconds. */
  members(): Member[];
}

/** One object: a beat is small, and every isolate asks at most once a second. */
export function fleetObject(env: Env): Remote<FleetApi> {
  return env.FLEET.getByName('fleet');
}
