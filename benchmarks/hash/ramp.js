// The ramp of users, for k6: each asks /hash again as soon as it has its answer (or after PAUSE). From the environment:
// TARGET (http://host:port), USERS, UP, HOLD, DOWN (durations such as 90s), PAUSE (seconds), SUMMARY (a file for the
// figures as JSON; without it they go to stdout), SERVER (a label on all that k6 tells Prometheus).
import http from 'k6/http';
import { check, sleep } from 'k6';

const users = Number(__ENV.USERS || 15000);
const pause = Number(__ENV.PAUSE || 0);
const target = `${__ENV.TARGET || 'http://127.0.0.1:8080'}/hash`;

export const options = {
  discardResponseBodies: true,
  tags: { server: __ENV.SERVER || 'unnamed' },
  noConnectionReuse: false,
  summaryTrendStats: ['avg', 'min', 'med', 'max', 'p(90)', 'p(95)', 'p(99)'],
  // Each combination of tags is a series of its own: only those that the dashboard tells apart.
  systemTags: ['status', 'error_code', 'expected_response'],
  scenarios: {
    ramp: {
      executor: 'ramping-vus',
      startVUs: 0,
      stages: [
        { duration: __ENV.UP || '2m', target: users },
        { duration: __ENV.HOLD || '15m', target: users },
        { duration: __ENV.DOWN || '30s', target: 0 },
      ],
      gracefulRampDown: '10s',
    },
  },
};

export default function () {
  const answer = http.get(target);
  check(answer, { 'status is 200': (one) => one.status === 200 });
  if (pause > 0) sleep(pause);
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY || 'stdout']: `${JSON.stringify(data.metrics)}\n` };
}
