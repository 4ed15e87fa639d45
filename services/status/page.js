"use strict";
/* Draws /api/state again every second. Text only ever goes in through textContent: nothing from outside is markup. */

const EVERY_MS = 1000;
const TASKS_SHOWN = 100;
const byId = (id) => document.getElementById(id);

function element(name, text, className) {
	const e = document.createElement(name);

	if (text !== undefined)
		e.textContent = text;
	if (className)
		e.className = className;
	return e;
}

function number(n) {
	return Number(n || 0).toLocaleString("en").replace(/,/g, "\u202f");
}

function octets(n) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let i = 0;

	for (n = Number(n || 0); n >= 1024 && i < units.length - 1; i++)
		n /= 1024;
	return (i > 0 && n < 10 ? n.toFixed(1) : Math.round(n)) + " " + units[i];
}

function duration(ms) {
	const s = Number(ms || 0) / 1000;

	if (s < 1)
		return Math.round(s * 1000) + " ms";
	if (s < 60)
		return s.toFixed(1) + " s";
	if (s < 3600)
		return Math.floor(s / 60) + " min " + Math.floor(s % 60) + " s";
	if (s < 86400)
		return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
	return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
}

/* columns: [title, cell(row) -> text or [text, class], class of the column] */
function table(id, columns, rows, nothing) {
	const head = element("tr"), body = element("tbody"), thead = element("thead");

	if (rows.length === 0) {
		byId(id).replaceChildren(element("caption", nothing, "quiet"));
		return;
	}
	for (const [title, , className] of columns)
		head.append(element("th", title, className));
	for (const row of rows) {
		const tr = element("tr");

		for (const [, cell, className] of columns) {
			const value = cell(row);
			const [text, more] = Array.isArray(value) ? value : [value, ""];

			tr.append(element("td", text, [className, more].filter(Boolean).join(" ")));
		}
		body.append(tr);
	}
	thead.append(head);
	byId(id).replaceChildren(thead, body);
}

function figures(s) {
	const minute = s.rates.minute, up = s.fronts.filter((f) => f.up);
	const sum = (key) => up.reduce((n, f) => n + (f[key] || 0), 0);
	const rows = [
		["mails", number(s.totals.mails)],
		["last minute", number(minute.mails)],
		["octets, last minute", octets(minute.octets)],
		["in flight", number(sum("in_flight"))],
		["sessions", number(sum("sessions"))],
		["held", octets(sum("held_octets"))],
		["p50, last minute", duration(minute.latency_ms.p50)],
		["p95", duration(minute.latency_ms.p95)],
		["p99", duration(minute.latency_ms.p99)],
		["aborted", number(s.totals.aborted)],
		["quarantined", number(s.totals.quarantined)],
		["poison", number(s.totals.poison)],
	];

	byId("figures").replaceChildren(...rows.map(([name, value]) => {
		const div = element("div", undefined, "figure");

		div.append(element("b", value), element("span", name));
		return div;
	}));
}

function history(values) {
	const most = Math.max(1, ...values), width = 600 / values.length;

	byId("history").replaceChildren(...values.map((v, i) => {
		const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
		const height = v > 0 ? Math.max(1, 58 * v / most) : 0;

		bar.setAttribute("x", i * width + 1);
		bar.setAttribute("y", 60 - height);
		bar.setAttribute("width", width - 2);
		bar.setAttribute("height", height);
		return bar;
	}));
}

function mails(s) {
	const actions = ["PASS", "REJECT", "DISCARD", "BOUNCE", "TEMPFAIL"];
	const minute = s.rates.minute.content, hour = s.rates.hour.content;

	table("mails", [
		["contents", (r) => r[0]],
		...actions.map((a) => [a, (r) => r[1][a] ? number(r[1][a]) : "", "number"]),
		["last minute", (r) => number(minute[r[0]]), "number"],
		["last hour", (r) => number(hour[r[0]]), "number"],
	], Object.entries(s.mails), "none yet");
}

function fronts(s) {
	table("fronts", [
		["front", (f) => f.front || f.endpoint],
		["host", (f) => f.host || ""],
		["state", (f) => f.up ? ["up", "good"] : ["down for " + duration(f.since_ms), "bad"]],
		["snapshot", (f) => f.age_ms === undefined ? "none" : f.age_ms > 3000 ?
			[duration(f.age_ms) + " ago", "warn"] : duration(f.age_ms) + " ago", "number"],
		["uptime", (f) => f.uptime_ms === undefined ? "" : duration(f.uptime_ms), "number"],
		["sessions", (f) => number(f.sessions), "number"],
		["in flight", (f) => number(f.in_flight), "number"],
		["held", (f) => octets(f.held_octets), "number"],
		["done", (f) => number(f.mails_done), "number"],
		["waiting jobs", (f) => (f.queues || []).filter((q) => q.waiting > 0)
			.map((q) => q.kind + " " + q.waiting + "/" + q.most).join(", ")],
		["version", (f) => f.software || ""],
	], s.fronts, "no front has been found");
}

function tasks(s) {
	const list = [...s.tasks].sort((a, b) => b.age_ms - a.age_ms);

	byId("task-note").textContent = list.length > TASKS_SHOWN ?
		"the oldest " + TASKS_SHOWN + " of " + list.length : "";
	table("tasks", [
		["task", (t) => t.task, "mono"],
		["age", (t) => t.age_ms > 30000 ? [duration(t.age_ms), "warn"] : duration(t.age_ms), "number"],
		["states", (t) => t.states, "mono"],
		["now", (t) => t.state, "mono"],
		["waits for", (t) => t.detail],
		["client", (t) => t.client, "mono"],
		["size", (t) => octets(t.size), "number"],
		["front", (t) => t.front],
	], list.slice(0, TASKS_SHOWN), "none");
}

function workers(s) {
	table("workers", [
		["service", (w) => w.service],
		["worker", (w) => w.worker, "mono"],
		["busy / slots", (w) => w.kinds.map((k) => k.kind + " " + k.busy + "/" + k.slots).join(", ")],
		["load", (w) => (w.load_permille / 10).toFixed(0) + " %", "number"],
		["done", (w) => number(w.done), "number"],
		["seen", (w) => w.draining ? ["draining", "warn"] : w.seen_ms_ago > 3000 ?
			[duration(w.seen_ms_ago) + " ago", "bad"] : duration(w.seen_ms_ago) + " ago", "number"],
		["engine", (w) => w.engine],
		["version", (w) => w.software],
	], s.workers, "no worker: mail waits, then gets 451");
}

function alerts(s) {
	table("alerts", [
		["time", (a) => new Date(a.time_ms).toLocaleString("sv")],
		["event", (a) => [a.event, "warn"]],
		["text", (a) => a.text],
	], s.alerts, "none");
}

function draw(s) {
	const good = s.fronts_up > 0 && s.fronts.every((f) => f.up);

	byId("health").textContent = s.fronts_up + " of " + s.fronts.length + " fronts up, " + s.workers.length + " workers";
	byId("health").className = good && s.workers.length > 0 ? "good" : "bad";
	byId("about").textContent = "version " + s.version + ", watching for " + duration(s.uptime_ms) +
		(s.totals.records_lost > 0 ? ", " + number(s.totals.records_lost) + " records lost" : "");
	for (const part of [figures, mails, fronts, tasks, workers, alerts])
		part(s);
	history(s.history);
}

async function refresh() {
	try {
		const response = await fetch("/api/state", { cache: "no-store", signal: AbortSignal.timeout(5000) });

		if (!response.ok)
			throw new Error("HTTP status " + response.status);
		draw(await response.json());
	} catch (error) {
		byId("health").textContent = "mailweir-status does not answer: " + error.message;
		byId("health").className = "bad";
	}
	setTimeout(refresh, EVERY_MS);
}

refresh();
