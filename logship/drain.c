// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * drain and run: what rules of a volume have to send is sent. drain ends when it is, or when a collector does not take
 * it; on an image also the last line without its end goes, since nothing will come behind it. run goes on, on a mounted
 * volume. A signal ends either after what is under way; the cursor stands at what arrived.
 */
#define _GNU_SOURCE
#include "logship/logship.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tfs/user/lines.h"

#define CONFIG "/etc/tfs-logship.conf"

volatile int logship_stopped;

static void on_signal(int sig)
{
	(void)sig;
	logship_stopped = 1;
}

void logship_signals(void)
{
	struct sigaction a = {.sa_handler = on_signal};

	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGINT, &a, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* ---- the volume, and who we are ---- */

static void boot_read(u8 boot[16])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char text[40] = "";

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0) {
		text[strcspn(text, "\n")] = 0;
		tfs_cli_uuid(text, boot);
	}
	if (fd >= 0)
		close(fd);
}

int logship_open(struct logship_sender *s, const char *path, u64 offset, bool write)
{
	static const struct target_codes codes = {LOGSHIP_USAGE, LOGSHIP_VOLUME, LOGSHIP_VOLUME, NULL};
	struct tfs_ioc_info info = {0};
	int err, code = target_open(&s->target, &codes, path, offset, write);

	if (code)
		return code;
	err = target_request(&s->target, TFS_IOC_INFO, &info);
	if (!err && !(info.requests >> 46 & 1))
		err = -ENOTTY;
	s->volume = info.volume;
	boot_read(s->boot);
	if (!err)
		return 0;
	target_close(&s->target);
	return tfs_cli_fail(LOGSHIP_VOLUME, path, "%s",
	                    err == -ENOTTY
	                        ? "what has it mounted knows nothing of forwarding: it is older than this tool"
	                        : strerror(-err));
}

int logship_close(struct logship_sender *s, int code)
{
	const char *path = s->target.path;
	int err = target_close(&s->target);

	logship_names_free(s);
	return err ? tfs_cli_fail(LOGSHIP_VOLUME, path, "cursors could not be written: %s", strerror(-err)) : code;
}

/* ---- options ---- */

struct options {
	struct logship_config config;
	const char *to;
	u64 offset;
	bool json, quiet, ended, not_ended;
};

static const struct option longs[] = {{"config", 1, NULL, 'c'},   {"to", 1, NULL, 't'},    {"host", 1, NULL, 'H'},
                                      {"timeout", 1, NULL, 'T'},  {"retry", 1, NULL, 'R'}, {"offset", 1, NULL, 'O'},
                                      {"interval", 1, NULL, 'I'}, {"ended", 0, NULL, 'e'}, {"not-ended", 0, NULL, 'n'},
                                      {"files", 0, NULL, 'F'},    {"json", 0, NULL, 'J'},  {"quiet", 0, NULL, 'q'},
                                      {"help", 0, NULL, 'h'},     {NULL, 0, NULL, 0}};

static int time_take(const char *text, u64 *ms, bool zero)
{
	return logship_duration(text, ms) || (!*ms && !zero)
	           ? tfs_cli_fail(LOGSHIP_USAGE, text, "expected a time such as 30s, 500ms or 5m, up to a day")
	           : 0;
}

static int option_take(struct options *o, int c, const char *value)
{
	static struct ship_target check;
	const char *why;
	u64 ms = 0;
	int code = 0;

	switch (c) {
	case 'c': /* read before */
		break;
	case 't':
		why = strlen(value) > TFS_SHIP_TARGET_MAX ? "expected at most 1024 bytes"
		                                          : ship_target_parse(value, (u32)strlen(value), &check);
		if (why)
			return tfs_cli_fail(LOGSHIP_USAGE, value, "%s", why);
		o->to = value;
		break;
	case 'H':
		if (!*value || strlen(value) >= sizeof(o->config.host))
			return tfs_cli_fail(LOGSHIP_USAGE, value, "expected a host name of 1 to 255 bytes");
		strcpy(o->config.host, value);
		break;
	case 'T':
		code = time_take(value, &ms, false);
		o->config.timeout_ms = (u32)ms;
		break;
	case 'I':
		code = time_take(value, &ms, false);
		o->config.interval_ms = (u32)ms;
		break;
	case 'R':
		code = time_take(value, &o->config.retry_ms, true);
		break;
	case 'O':
		if (tfs_cli_size(value, &o->offset))
			return tfs_cli_fail(LOGSHIP_USAGE, value, "expected an offset such as 1048576 or 1M");
		break;
	case 'e':
		o->ended = true;
		break;
	case 'n':
		o->not_ended = true;
		break;
	case 'F':
		o->config.files = true;
		break;
	case 'J':
		o->json = true;
		break;
	case 'q':
		o->quiet = true;
		break;
	}
	return code;
}

/* The file first, so that the command line has the last word. -1: --help. */
static int options_parse(struct options *o, int argc, char **argv, const char *letters)
{
	const char *config = NULL;
	int c, code;

	gethostname(o->config.host, sizeof(o->config.host) - 1);
	o->config.timeout_ms = 30000;
	o->config.interval_ms = 1000;
	o->config.retry_ms = 60000;
	while ((c = getopt_long(argc, argv, "c:qh", longs, NULL)) != -1) {
		if (c == 'h')
			return -1;
		if (c == '?' || !strchr(letters, c))
			return tfs_cli_fail(LOGSHIP_USAGE, argv[0], "takes no such option; see tfs-logship %s --help",
			                    argv[0]);
		if (c == 'c')
			config = optarg;
	}
	code = logship_config_read(&o->config, config ? config : CONFIG, !config);
	optind = 0;
	while (!code && (c = getopt_long(argc, argv, "c:qh", longs, NULL)) != -1)
		code = option_take(o, c, optarg);
	return code;
}

static void sender_set(struct logship_sender *s, const struct options *o)
{
	s->config = &o->config;
	s->to = o->to;
	s->quiet = o->quiet;
}

/* ---- drain ---- */

static bool wanted(u64 rule, char **arg, int args)
{
	for (int i = 0; i < args; i++)
		if (strtoull(arg[i], NULL, 10) == rule)
			return true;
	return !args;
}

static int volume_failed(const struct logship_sender *s, int err)
{
	return tfs_cli_fail(LOGSHIP_VOLUME, s->target.path, "%s",
	                    err == -EUCLEAN || err == -EIO ? "is damaged; run fsck.tfs"
	                    : err == -ENOSPC               ? "no space left for the cursors"
	                    : err == -EPERM                ? "not permitted: root sends what the kernel has mounted"
	                                                   : strerror(-err));
}

/* What came of it into what is remembered of the rule. */
static void count(struct logship_state *to, const struct logship_sender *before, const struct logship_sender *s,
                  int err)
{
	u64 sent = s->sent - before->sent, acked = s->acked - before->acked, dead = s->dead - before->dead;

	to->sent += sent;
	to->acked += acked;
	to->dead += dead;
	to->repeated += sent - acked - dead; /* nothing is on its way any more */
	to->bytes += s->bytes - before->bytes;
	to->failures += s->reconnects - before->reconnects + (err && err != -EINTR);
	to->backlog = s->backlog;
	to->backlog_files = s->backlog ? s->backlog_files : 0;
	if (acked)
		to->acked_time = (u64)time(NULL);
	if (err && err != -EINTR)
		to->error_time = (u64)time(NULL);
}

static int rule_send(struct logship_sender *s, const struct logship_rule *rule)
{
	static struct logship_sender before;
	struct logship_state *state = logship_state_of(rule);
	int err;

	if (!state)
		return -ENOMEM;
	if (rule->bad)
		return -EINVAL;
	if (logship_now_ms() < state->not_before_ms)
		return 0;
	if (rule->target.transport == SHIP_FILE && !s->to && !s->config->files) {
		tfs_cli_warn(
		    rule->text,
		    "rule %llu names a file, and a volume may be anybody's: where it may, expected --files, or "
		    "files = yes in the configuration",
		    (unsigned long long)rule->id);
		logship_state_failed(state, 0);
		return -EINVAL;
	}
	before = *s;
	err = logship_rule_send(s, rule);
	count(state, &before, s, err);
	if (!err)
		state->in_row = 0;
	else
		logship_state_failed(state, s->again_ms);
	return err;
}

/* Each of them, though one may fail. *met: how many there were. */
static int rules_send(struct logship_sender *s, char **arg, int args, int *met)
{
	static struct logship_rule rule;
	u64 from = 0;
	int err = 0, code = 0;

	while (!logship_stopped && !(err = logship_rule_next(s, from, &rule))) {
		from = rule.id + 1;
		if (!wanted(rule.id, arg, args))
			continue;
		++*met;
		err = rule_send(s, &rule);
		if (s->volume_err || err == -ENOMEM)
			return volume_failed(s, err);
		if (err && err != -EINTR)
			code = LOGSHIP_NETWORK;
	}
	if (!logship_stopped && err != -ENOENT)
		return volume_failed(s, err);
	return code;
}

static void summary(const struct logship_sender *s, const struct options *o)
{
	struct tfs_line l;
	bool own = !o->json && s->to && !strncmp(s->to, "stdout:", 7);

	if (own || (o->quiet && !o->json))
		return;
	tfs_line_begin(&l, o->json, 0, "sent");
	tfs_line_num(&l, "acknowledged", s->acked);
	tfs_line_num(&l, "repeated", s->sent - s->acked - s->dead);
	tfs_line_num(&l, "dead", s->dead);
	tfs_line_num(&l, "reconnects", s->reconnects);
	tfs_line_num(&l, "shrank", s->stale);
	tfs_line_end(&l);
}

int logship_drain(int argc, char **argv)
{
	static struct logship_sender s;
	static struct options o;
	int met = 0, code = options_parse(&o, argc, argv, "ctHTROenFJq");

	if (code < 0) {
		printf(
		    "usage: tfs-logship drain TARGET [RULE...] [OPTION]...\n"
		    "Sends what rules of a volume (tfs ship list) have to send, from where it was acknowledged on.\n"
		    "TARGET: a directory of a mounted volume, or an image or device that is not mounted\n"
		    "      --to COLLECTOR  there instead: relp://HOST:PORT, tcp://, udp://, file:PATH, stdout:,\n"
		    "                      otlp+https://HOST:PORT, loki+https://, elastic+https://, splunk+https://, "
		    "gelf+https://, journal+https://\n"
		    "      --files         rules of the volume may name files to append to (file:)\n"
		    "      --host NAME     as the sender's (default: this machine's)\n"
		    "      --retry TIME    gives a collector up after so long without an answer (60s)\n"
		    "      --timeout TIME  of each wait for it (30s)\n"
		    "      --ended         a last line without its end is sent as it is (of an image it is)\n"
		    "      --not-ended     it is not\n"
		    "      --offset N      of the volume in an image\n"
		    "  -c, --config FILE   (default: " CONFIG ", if it is there)\n"
		    "      --json  -q, --quiet  -h, --help\n"
		    "Exit code: 0 all was sent, 1 wrong usage, 2 a collector did not take all, 3 cannot write, 4 "
		    "the volume\n");
		return tfs_cli_end(0, LOGSHIP_OUTPUT);
	}
	if (code)
		return code;
	if (optind >= argc)
		return tfs_cli_fail(LOGSHIP_USAGE, NULL, "expected TARGET; see tfs-logship drain --help");
	for (int i = optind + 1; i < argc; i++)
		if (strspn(argv[i], "0123456789") != strlen(argv[i]) || !*argv[i])
			return tfs_cli_fail(LOGSHIP_USAGE, argv[i], "expected a rule's number; see tfs ship list");
	logship_signals();
	code = logship_open(&s, argv[optind], o.offset, true);
	if (code)
		return code;
	sender_set(&s, &o);
	s.ended = o.ended || (!s.target.mounted && !o.not_ended);
	code = rules_send(&s, argv + optind + 1, argc - optind - 1, &met);
	if (!code && met < argc - optind - 1 && !logship_stopped)
		code = tfs_cli_fail(LOGSHIP_USAGE, argv[optind + 1], "of these rules %d are there; see tfs ship list",
		                    met);
	if (!code && s.dead)
		code = tfs_cli_fail(LOGSHIP_NETWORK, o.config.dead_letter,
		                    "holds %llu messages that were refused for good", (unsigned long long)s.dead);
	if (!code && logship_stopped)
		code = tfs_cli_fail(LOGSHIP_NETWORK, s.target.path, "stopped before all was sent");
	code = logship_close(&s, code);
	summary(&s, &o);
	return tfs_cli_end(code, LOGSHIP_OUTPUT);
}

/* ---- run ---- */

int logship_run(int argc, char **argv)
{
	static struct logship_sender s;
	static struct options o;
	int met, code = options_parse(&o, argc, argv, "ctHTROIFq");

	if (code < 0) {
		printf("usage: tfs-logship run DIRECTORY [OPTION]...\n"
		       "Sends what comes into files under a rule (tfs ship) of a mounted volume, until it is stopped.\n"
		       "      --interval TIME  between two looks (1s)\n"
		       "      --to COLLECTOR --host NAME --files --retry TIME --timeout TIME, -c --config, -q: as of "
		       "drain\n"
		       "Exit code: 0 stopped, 1 wrong usage, 4 the volume\n");
		return tfs_cli_end(0, LOGSHIP_OUTPUT);
	}
	if (code)
		return code;
	if (optind + 1 != argc)
		return tfs_cli_fail(LOGSHIP_USAGE, NULL, "expected one DIRECTORY; see tfs-logship run --help");
	logship_signals();
	code = logship_open(&s, argv[optind], 0, true);
	if (code)
		return code;
	if (!s.target.mounted)
		code = tfs_cli_fail(LOGSHIP_USAGE, argv[optind],
		                    "expected a directory of a mounted volume; drain sends from images");
	sender_set(&s, &o);
	while (!code && !logship_stopped) {
		code = rules_send(&s, NULL, 0, &met);
		if (code == LOGSHIP_NETWORK) /* it is tried again, and the others meanwhile */
			code = 0;
		if (o.config.metrics[0])
			logship_metrics_write(o.config.metrics);
		for (u32 ms = 0; !code && !logship_stopped && ms < o.config.interval_ms; ms += 10)
			usleep(10000);
		logship_names_free(&s); /* files may have other names by now */
	}
	return tfs_cli_end(logship_close(&s, code), LOGSHIP_OUTPUT);
}
