export { DeadlineTimer } from './deadline-timer.js';
export { type Deadlines, deadlineVariable, defaultDeadlinesMs, resolveDeadlines } from './deadlines.js';
export { type DeadlineOptions, untilAborted, withDeadline } from './with-deadline.js';
