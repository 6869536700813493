/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Log forwarding by the module: what its files share. ship.c starts and ends a thread for each collector that rules
 * name; sender.c is that thread; sender_read.c finds what is to be sent, sender_link.c brings it there, with TLS over a
 * socket that an agent in user space made (ship_agent.c, sender_tls.c). Framing and RELP are logship/ship/, rules and
 * cursors are the core's (tfs/ship.c).
 *
 * What always holds:
 * - Only what was durable before it was read is sent, and a cursor only moves over what arrived: after a crash or any
 *   error all starts at the cursors again, so lines may come twice and none is missing.
 * - A thread holds no lock of the filesystem while it waits for the network; writers never wait for a thread: they
 *   leave a time behind (tfs_ship_written) and a sync wakes who sleeps.
 * - Memory: struct tfs_sender, about 250 KiB a collector, and SENDERS_MAX of them; nothing grows.
 * - Every wait is for an event or a time, and ends when the thread is asked to stop: an unmount waits for
 *   SENDER_ENDING_MS at most, for all threads together, beside what the device takes.
 */
#ifndef TFS_LINUX_SHIP_H
#define TFS_LINUX_SHIP_H

#include "tfs_linux.h"
#include "logship/ship/ship.h"

#include <linux/kthread.h>
#include <linux/net.h>

#define SENDERS_MAX 16u
#define SENDER_ENDING_MS 500u
#define SENDER_TIMEOUT_MS 30000u /* without an answer, while messages are on their way */
#define SENDER_AGENT_MS 60000u   /* for a socket of an agent's; longer than it has itself to get one */
#define SENDER_FILES 64u         /* whose cursors are on their way to the volume, at most */
#define SENDER_FLIGHTS 512u      /* messages on their way, of TCP; RELP has fewer */
#define SENDER_LOOK 512u         /* bytes behind a message that tell whether it is whole */
#define SENDER_READ (2 * SHIP_TEXT_MAX + SENDER_LOOK + PAGE_SIZE)
#define SENDER_BATCH 32768u /* bytes handed to the socket at once */
#define SENDER_MESSAGE (SHIP_HEAD_MAX + 4 * SHIP_TEXT_MAX)

#define SHIP_MINE "tfs: log forwarding: " /* how messages of the threads begin: kmsg.c leaves them out by it */

/* ---- sender_tls.c: a socket with kTLS ---- */
struct tfs_tls {    /* where in a message of the handshake, of those that come later, reading stands */
	u8 head[4]; /* its type and length */
	u32 have;   /* of head */
	u32 skip;   /* bytes of its content */
};
struct tfs_link;
/* 0: the file is a TCP socket, connected, with TLS both ways, and of nobody's in the kernel. -ENOTSOCK, -EPROTOTYPE: no
 * TCP; -ENOTCONN; -ENOPROTOOPT: no TLS, or one way only; -EBUSY. *net: where it is. May wait for the socket's lock. */
int tfs_tls_check(struct file *file, const struct net **net);
/* Bytes of data, 0: the end, or a negative errno, -EAGAIN: not now. -EKEYEXPIRED: keys are to change; -ECONNREFUSED: an
 * alert, l->said has which. Never waits. */
int tfs_tls_recv(struct tfs_link *l, u8 *buf, u32 len);
u32 tfs_tls_left(struct sock *sk);        /* 0: the other end has all that was sent */
void tfs_tls_notify(struct socket *sock); /* that we go, if there is room for it */

/* ---- ship_agent.c: who makes such sockets ---- */
struct tfs_desk;
struct tfs_need { /* of a thread; on the desk while it waits. All under the desk's lock */
	struct list_head list;
	u64 number; /* 0: none; read by /sys without a lock */
	struct file *file;
	int error;     /* errno, of an agent that got none */
	bool answered; /* set after the others: by file or error */
};
struct tfs_sender;
/* Asks agents for a connection. *file: a reference, the caller's. -EINTR: the thread is to stop; -ENOLINK: nobody
 * answered in SENDER_AGENT_MS; else what an agent met. */
int tfs_need_wait(struct tfs_sender *t, struct file **file);

/* ---- sender_link.c: one connection ---- */
struct tfs_link {
	struct socket *sock; /* NULL: none */
	struct file *file;   /* TLS: the agent's, that sock is of: what is held. NULL: sock is our own */
	struct tfs_tls tls;
	wait_queue_head_t *wait;
	bool in_ready, out_ready;            /* set by the socket's callbacks; cleared before it is tried */
	void (*data_ready)(struct sock *sk); /* the socket's own, put back before it is released */
	void (*write_space)(struct sock *sk);
	void (*state_change)(struct sock *sk);
	struct ship_relp relp;
	struct ship_out out;
	u32 out_at;             /* so much of out went to the socket */
	u32 unacked;            /* messages */
	u32 left;               /* TCP: bytes that the other end did not have when it was last looked */
	unsigned long progress; /* jiffies: when something arrived last, or the first went out */
	u8 in[4096];
	u32 in_len;
	char said[128]; /* by a collector that refuses, or about what keeps us from it */
};
/* All: 0 or more, or a negative errno after which the link is to be closed. -EINTR: the thread is to stop. */
int tfs_link_open(struct tfs_sender *t);
/* The message goes out, perhaps later. How many messages, the oldest first, arrived meanwhile. */
int tfs_link_send(struct tfs_sender *t, const u8 *msg, u32 len);
int tfs_link_flush(struct tfs_sender *t); /* what stands in the buffer goes out */
int tfs_link_take(struct tfs_sender *t);  /* answers that are here: how many messages arrived */
/* For the thread's last half second: sends and takes what can be without waiting. */
int tfs_link_last(struct tfs_sender *t);
void tfs_link_close(struct tfs_link *l);
/* NULL, or why nobody in this kernel could send there. */
const char *tfs_link_check(struct net *net, const struct ship_target *target);

/* ---- a collector's thread ---- */
#define SENDER_LIST 32u
struct tfs_ship_slot { /* a file of which something is on its way */
	u64 rule, ino; /* rule 0: free */
	u64 origin;    /* whose lines they are, in this generation */
	u64 sent, acked, committed;
	u32 generation, flights;
};
struct tfs_flight { /* a message, or several of which nothing is sent (empty lines) behind it */
	u64 end;
	u32 slot;
};
struct tfs_reading { /* a file, up to what is durable of it */
	struct tfs_ship_file file;
	u64 rule, offset;
	u32 part;       /* of a long message: how many pieces were */
	u32 from, have; /* of buf */
	u8 *buf;        /* SENDER_READ */
};
struct tfs_sender {
	struct list_head list;
	struct tfs_sb *s;
	struct task_struct *task;
	bool stopping;
	bool wanted; /* by a rule: of ship.c alone */
	bool kicked; /* rules changed, or not all was sent: look again */
	bool again;  /* a file could not be read: look again in a second */
	char *text;  /* as the rules have it */
	u32 text_len;
	struct ship_target target;
	const char *why; /* not NULL: nobody can send there, and why */
	struct tfs_link link;
	struct tfs_need need;
	struct tfs_ship_rule_info rule; /* scratch */
	struct tfs_ship_file file[SENDER_LIST];
	struct tfs_reading reading;
	struct tfs_ship_slot slot[SENDER_FILES];
	struct tfs_flight flight[SENDER_FLIGHTS];
	u32 first, flights;
	u8 *message;             /* SENDER_MESSAGE */
	u8 *out;                 /* SENDER_BATCH + SENDER_MESSAGE + 64 */
	char *path;              /* PAGE_SIZE */
	const char *name;        /* of the file that is read: in path, or NULL */
	u64 pass_lines;          /* sent when the last pass ended */
	unsigned long committed; /* jiffies */
	unsigned long flushed;   /* jiffies: when pages were last looked for that nobody syncs */
	unsigned long second;    /* jiffies, of the limit */
	u32 in_second;
	u64 seen_durable, seen_sequence, volume;
	int seen_ended;
	bool connected, told;
	u32 backoff; /* ms */
	/* counters; read by /sys without a lock */
	u64 sequence, lines, bytes, acked, reconnects, stale, unread;
	int last_error;
};

/* sender.c */
extern u8 tfs_boot_id[16]; /* of the module's load: what numbers of messages count from */
int tfs_sender_main(void *data);
static inline bool tfs_sender_stopping(struct tfs_sender *t)
{
	return READ_ONCE(t->stopping);
}

/* sender_read.c */
/* Some files of the rule from *ino on, *n in t->file. 1: there may be more from *ino on; 0: not. */
int tfs_sender_list(struct tfs_sender *t, u64 rule, u64 *ino, u32 *n);
/* Everything that is in the volume now is durable when it returns 0. */
int tfs_sender_durable(struct tfs_sender *t);
/* Pages of the rule's files that nobody wrote back yet are given to the volume. */
int tfs_sender_write_back(struct tfs_sender *t, u64 rule);
/* Bytes of a file, through the page cache. -ESTALE: it is not that long. */
int tfs_cached_copy(struct inode *inode, u64 pos, u8 *to, u32 n);
int tfs_reading_start(struct tfs_sender *t, u64 rule, const struct tfs_ship_file *f, u64 from);
/* 1: the next message; 0: there is none yet; -ESTALE: the file shrank. *text is good until the next call. */
int tfs_reading_next(struct tfs_sender *t, const u8 **text, struct ship_piece *piece);
void tfs_reading_took(struct tfs_reading *r, const struct ship_piece *piece);
/* Where the file stands, if anybody has a name of it in memory; NULL: not. */
const char *tfs_sender_name(struct tfs_sender *t, u64 ino);

#endif
