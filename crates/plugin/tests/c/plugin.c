/* A plugin with a source and fields that does what its texts ask for, well or badly.
   Built by the tests with other macros, or with -Dplugin_X=missing_X for a symbol that is not there. */
#include "abi.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef NAME
#define NAME "badly"
#endif
#ifndef VERSION
#define VERSION "1.2.3"
#endif
#ifndef NEEDS
#define NEEDS "3.12.0"
#endif
#ifndef ID
#define ID 77
#endif
#ifndef SOURCE
#define SOURCE "badly"
#endif
#ifndef FIELDS
#define FIELDS "[{\"name\":\"b.value\",\"type\":\"string\",\"desc\":\"a value\"}]"
#endif
#ifndef SOURCES
#define SOURCES "[]"
#endif

/* All texts in one buffer, which each call overwrites: as plugins of one SDK do. */
static char shared[4096];
static const char *say(const char *text) {
    if (!text) return NULL;
    memset(shared, '#', sizeof shared);
    snprintf(shared, sizeof shared, "%s", text);
    return shared;
}

typedef struct {
    log_function log;
    void *owner;
    char error[256];
    atomic_int stop;
    pthread_t threads[10];
    int chatty;
    metric metrics[8];
    uint16_t *types;
} state;

static void crash(void) { *(volatile int *)16 = 1; }

API const char *plugin_get_required_api_version(void) { return say(NEEDS); }
API const char *plugin_get_name(void) { return say(NAME); }
API const char *plugin_get_description(void) { return say("does what its texts ask for"); }
API const char *plugin_get_contact(void) { return say("\xff\xfe"); }
API const char *plugin_get_version(void) { return say(VERSION); }
API const char *plugin_get_fields(void) { return say(FIELDS); }
API const char *plugin_get_extract_event_sources(void) { return say(SOURCES); }
API uint32_t plugin_get_id(void) { return ID; }
API const char *plugin_get_event_source(void) { return say(SOURCE); }
API const char *plugin_get_last_error(state *s) { return s->error[0] == '?' ? NULL : say(s->error); }

static void *die(void *p) {
    usleep(10000);
    if (p) abort();
    crash();
    return NULL;
}

static void *chat(void *p) {
    state *s = p;
    while (!s->stop) s->log(s->owner, NULL, "still here", 6);
    return NULL;
}

API void *plugin_init(const init_input *in, int *rc) {
    *rc = SUCCESS;
    if (!strcmp(in->config, "nothing")) return NULL;
    if (!strcmp(in->config, "fail")) return *rc = FAILURE, NULL;
    if (!strcmp(in->config, "crash")) crash();
    state *s = calloc(1, sizeof *s);
    s->log = in->log;
    s->owner = in->owner;
    if (!strcmp(in->config, "refuse")) {
        snprintf(s->error, sizeof s->error, "it does not like %s", in->config);
        *rc = 4711;
    }
    if (!strcmp(in->config, "silent")) s->error[0] = '?', *rc = FAILURE;
    if (!strcmp(in->config, "chat")) {
        s->chatty = 1;
        for (int i = 0; i < 10; i++) pthread_create(&s->threads[i], NULL, chat, s);
    }
    if (!strncmp(in->config, "thread ", 7)) {
        pthread_create(&s->threads[0], NULL, die, !strcmp(in->config, "thread aborts") ? s : NULL);
        sleep(10);
    }
    if (!strcmp(in->config, "log")) {
        s->log(s->owner, NULL, "plain", 6);
        s->log(s->owner, "part", "\xff not UTF-8", 4);
        s->log(s->owner, "part", NULL, 4);
        s->log(NULL, "part", "no owner", 4);
        s->log(s->owner, NULL, "odd severity", 4000000000u);
        char *long_text = malloc(100001);
        memset(long_text, 'x', 100000);
        long_text[100000] = 0;
        s->log(s->owner, NULL, long_text, 0);
        free(long_text);
    }
    if (!strncmp(in->config, "types ", 6)) s->types = calloc(1, 8), memcpy(s->types, in->config, 6);
    return s;
}

API void plugin_destroy(state *s) {
    s->stop = 1;
    if (s->chatty)
        for (int i = 0; i < 10; i++) pthread_join(s->threads[i], NULL);
    s->log(s->owner, NULL, "destroyed", 6);
    free(s->types);
    free(s);
}

#ifdef TYPES
API uint16_t *plugin_get_extract_event_types(uint32_t *n, state *s) {
    (void)s;
    static uint16_t types[] = { 322, 402, 60000 };
    *n = TYPES;
    return types;
}
#endif

#ifdef SCHEMA
API const char *plugin_get_required_event_schema_version(state *s) {
    (void)s;
    return SCHEMA;
}
#endif

/* The source: a text of batches, separated by '|'. */
typedef struct {
    char *text, *at;
    uint8_t memory[4][256];
    header *events[4];
} instance;

API void *plugin_open(state *s, const char *params, int *rc) {
    *rc = SUCCESS;
    if (!strcmp(params, "nothing")) return NULL;
    if (!strcmp(params, "refuse")) return snprintf(s->error, sizeof s->error, "not this"), *rc = FAILURE, NULL;
    if (!strcmp(params, "crash")) crash();
    instance *i = calloc(1, sizeof *i);
    i->text = i->at = strdup(params);
    return i;
}

API void plugin_close(state *s, instance *i) {
    s->log(s->owner, NULL, "closed", 6);
    free(i->text);
    free(i);
}

static void put(instance *i, uint32_t n, const char *payload) {
    uint32_t four = 4, len = strlen(payload), id = 0;
    header h = { 1000 + n, 5, 38 + len, PLUGIN_EVENT, 2 };
    uint8_t *m = i->memory[n];
    memset(m, 0, 256);
    memcpy(m, &h, 26), memcpy(m + 26, &four, 4), memcpy(m + 30, &len, 4), memcpy(m + 34, &id, 4), memcpy(m + 38, payload, len);
    i->events[n] = (header *)m;
}

static int over(int depth) {
    volatile char frame[4096];
    frame[0] = depth;
    return over(depth + 1) + frame[0];
}

API int plugin_next_batch(state *s, instance *i, uint32_t *n, header ***events) {
    size_t len = strcspn(i->at, "|");
    char batch[64] = "";
    snprintf(batch, sizeof batch, "%.*s", (int)len, i->at);
    if (!*i->at) strcpy(batch, "end");
    i->at += len + (i->at[len] == '|');
    *events = i->events;
    *n = 1;
    snprintf(s->error, sizeof s->error, "error of %s", batch);
    put(i, 0, batch), put(i, 1, "second"), put(i, 2, "third");
    header *first = i->events[0];
    uint32_t id;
#define IS(text) (!strcmp(batch, text))
    if (IS("one")) return SUCCESS;
    if (IS("three")) return *n = 3, SUCCESS;
    if (IS("empty")) return *n = 0, SUCCESS;
    if (IS("end")) return *n = 0, END;
    if (IS("one and end")) return END;
    if (IS("timeout")) return *n = 0, TIMEOUT;
    if (IS("one and timeout")) return TIMEOUT;
    if (IS("fail")) return *n = 0, FAILURE;
    if (IS("one and fail")) return FAILURE;
    if (IS("unsupported")) return *n = 0, NOT_SUPPORTED;
    if (IS("odd")) return *n = 0, -4711;
    if (IS("silent")) return s->error[0] = '?', *n = 0, FAILURE;
    if (IS("untouched")) return *events = (void *)8, *n = 0, END;
    if (IS("no array")) return *events = NULL, SUCCESS;
    if (IS("no event")) return i->events[0] = NULL, SUCCESS;
    if (IS("too many")) return *n = 0xffffffff, SUCCESS;
    if (IS("short")) return first->len = 25, SUCCESS;
    if (IS("no params")) return first->len = 26, SUCCESS;
    if (IS("too long")) return first->len = 0xffffffff, SUCCESS;
    if (IS("long param")) return id = 0xfffffff0, memcpy((uint8_t *)first + 30, &id, 4), SUCCESS;
    if (IS("long id")) return id = 5, memcpy((uint8_t *)first + 26, &id, 4), SUCCESS;
    if (IS("no id")) return id = 0, memcpy((uint8_t *)first + 26, &id, 4), SUCCESS;
    if (IS("one param")) return first->params = 1, SUCCESS;
    if (IS("many params")) return first->params = 0xffffffff, SUCCESS;
    if (IS("other type")) return first->type = 5, SUCCESS;
    if (IS("unknown type")) return first->type = 65535, SUCCESS;
    if (IS("other id")) return id = 4000000000u, memcpy((uint8_t *)first + 34, &id, 4), SUCCESS;
    if (IS("own id")) return id = ID, memcpy((uint8_t *)first + 34, &id, 4), SUCCESS;
    if (IS("now")) return first->ts = ~0ull, SUCCESS;
    if (IS("hang")) return sleep(600), SUCCESS;
    if (IS("crash")) return crash(), SUCCESS;
    if (IS("abort")) abort();
    if (IS("overflow")) return over(0);
    return SUCCESS;
}

API const char *plugin_event_to_string(state *s, const event_input *in) {
    (void)s;
    uint32_t len;
    memcpy(&len, (const uint8_t *)in->event + 30, 4);
    if (len == 4) return NULL; /* "none" */
    if (len == 5) return "";   /* "three" */
    snprintf(shared, sizeof shared, "%.*s", (int)len, (const char *)in->event + 38);
    return shared;
}
API const char *plugin_get_progress(state *s, instance *i, uint32_t *percent) {
    (void)s, (void)i;
    *percent = 4321;
    return NULL;
}
API const char *plugin_list_open_params(state *s, int *rc) {
    (void)s;
    *rc = FAILURE;
    snprintf(s->error, sizeof s->error, "no suggestions");
    return NULL;
}

API int plugin_extract_fields(state *s, const event_input *in, const extract_input *x) {
    (void)in;
    static char *huge;
    static const char *texts[70000], *one[2];
    static uint64_t numbers[2];
    static boolean truths[3];
    static buffer buffers[3];
    for (uint32_t k = 0; k < x->count; k++) {
        field *f = &x->fields[k];
        f->count = 1;
#define ASKED(text) (!strcmp(f->name, text))
        if (ASKED("b.value")) one[0] = "a value", f->values.text = one;
        else if (ASKED("b.argument")) snprintf(s->error, sizeof s->error, "%s %lld %u", f->key ? f->key : "-", (long long)f->index, f->has_argument), one[0] = s->error, f->values.text = one;
        else if (ASKED("b.number")) numbers[0] = ~0ull, f->values.number = numbers;
        else if (ASKED("b.odd_place")) f->values.any = (char *)memcpy((char *)numbers + 1, "\1\0\0\0\0\0\0\0", 8);
        else if (ASKED("b.truths")) truths[0] = 0, truths[1] = 1, truths[2] = 7, f->values.truth = truths, f->count = 3;
        else if (ASKED("b.addresses")) {
            for (int i = 0; i < 3; i++) buffers[i].at = "0123456789abcdef";
            buffers[0].len = 4, buffers[1].len = 16, buffers[2].len = 2, f->values.bytes = buffers, f->count = 3;
        }
        else if (ASKED("b.no_address")) buffers[0].at = NULL, buffers[0].len = 4, f->values.bytes = buffers;
        else if (ASKED("b.long_address")) buffers[0].at = NULL, buffers[0].len = 0xffffffff, f->values.bytes = buffers;
        else if (ASKED("b.null")) one[0] = NULL, f->values.text = one;
        else if (ASKED("b.no_array")) f->values.any = NULL;
        else if (ASKED("b.untouched")) ;
        else if (ASKED("b.none")) f->count = 0;
        else if (ASKED("b.two")) one[0] = "first", one[1] = "second", f->values.text = one, f->count = 2;
        else if (ASKED("b.bytes")) one[0] = "\xff\x01", f->values.text = one;
        else if (ASKED("b.endless")) {
            for (int i = 0; i < 70000; i++) texts[i] = "x";
            f->values.text = texts, f->count = ~0ull;
        }
        else if (ASKED("b.huge")) {
            if (!huge) huge = malloc(20000001), memset(huge, 'h', 20000000), huge[20000000] = 0;
            one[0] = huge, f->values.text = one;
        }
        else if (ASKED("b.fail")) return snprintf(s->error, sizeof s->error, "no value"), FAILURE;
        else if (ASKED("b.crash")) crash();
        else if (ASKED("b.abort")) abort();
        else f->count = 0;
    }
    return SUCCESS;
}

API metric *plugin_get_metrics(state *s, uint32_t *n) {
    static metric many[1100];
    metric *m = s->metrics;
    *n = 8;
    m[0] = (metric){ "a", 0, { .u32 = 4000000000u }, 0 };
    m[1] = (metric){ "b", 1, { .s32 = -1 }, 1 };
    m[2] = (metric){ "c", 1, { .d = 1.5 }, 4 };
    m[3] = (metric){ NULL, 0, { .u32 = 1 }, 0 };
    m[4] = (metric){ "", 0, { .u32 = 1 }, 0 };
    m[5] = (metric){ "d", 0, { .u32 = 1 }, 99 };
    m[6] = (metric){ "e", 77, { .f = 0.5f }, 5 };
    m[7] = (metric){ "\xff", 0, { .s64 = -9000000000 }, 3 };
    if (s->chatty) {
        for (int i = 0; i < 1100; i++) many[i] = m[0];
        return *n = 0xffffffff, many;
    }
    return m;
}

#ifdef CONSTRUCTOR
__attribute__((constructor)) static void constructor(void) { CONSTRUCTOR; }
#endif
