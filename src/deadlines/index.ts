export { type Deadlines, deadlineVariable, defaultDeadlinesMs, resolveDeadlines } from './deadlines.js';
export { type DeadlineOptions, withDeadline } from './with-deadline.js';
