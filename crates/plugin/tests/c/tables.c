/* A plugin that uses tables, and owns one. Its configuration says what it does in init:
   ask: asks the table of threads for what there is and for what is refused, and logs the answers;
   own: adds the table "colours"; guest: uses the table "colours" of another plugin;
   broken=N: adds a table with the fault N. */
#include "tables.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef NAME
#define NAME "tables"
#endif
#ifndef NEEDS
#define NEEDS "3.12.0"
#endif

typedef struct {
    uint64_t key;
    uint64_t count;
    char name[32];
} colour;

typedef struct {
    const char *(*why)(void *owner);
    log_function log;
    void *owner;
    char error[200];
    const init_tables *tables;
    const reader *read;
    const writer *write;
    void *threads, *tid, *comm, *count, *note, *files, *file_name, *file_seen, *env, *value;
    void *colours, *colour_name, *colour_count;
    colour rows[16];
    int row_count;
    colour draft;
    void *kept;
    char text[200];
} state;

static void say(state *s, const char *format, ...) {
    char line[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    s->log(s->owner, NULL, line, 6);
}
static const char *why(state *s) {
    const char *text = s->why(s->owner);
    return text ? text : "(no text)";
}
static const char *given(const void *pointer) { return pointer ? "given" : "refused"; }
/* Arguments of functions are evaluated in any order: the call has to come first. */
#define ASK(what, call) do { const void *result = (call); say(s, what ": %s: %s", given(result), why(s)); } while (0)

/* ---- the table of this plugin */
static const field_info COLOURS[] = {{"name", TEXT, 0}, {"count", U64, 0}};
static int handles[2];
static void fail(state *s, const char *text) { snprintf(s->error, sizeof s->error, "%s", text); }
static const field_info *list_fields(void *table, uint32_t *count) {
    (void)table;
    *count = 2;
    return COLOURS;
}
static void *get_field(void *table, const char *name, uint32_t type) {
    for (int i = 0; i < 2; i++)
        if (!strcmp(name, COLOURS[i].name) && type == COLOURS[i].type) return &handles[i];
    fail(table, "colours have no such field");
    return NULL;
}
static void *add_field(void *table, const char *name, uint32_t type) {
    (void)name, (void)type;
    fail(table, "colours take no fields");
    return NULL;
}
static const char *table_name(void *table) { (void)table; return "colours"; }
static uint64_t table_size(void *table) { return ((state *)table)->row_count; }
static colour *find(state *s, uint64_t key) {
    for (int i = 0; i < s->row_count; i++)
        if (s->rows[i].key == key) return &s->rows[i];
    return NULL;
}
static void *get_entry(void *table, const data *key) {
    colour *row = find(table, key->u64);
    if (!row) fail(table, "there is no such colour");
    return row;
}
static int32_t read_field(void *table, void *entry, const void *field, data *out) {
    (void)table;
    colour *row = entry;
    if (field == &handles[0]) out->text = row->name;
    else out->u64 = row->count;
    return SUCCESS;
}
static void release(void *table, void *entry) { (void)table, (void)entry; }
static boolean iterate(void *table, visitor visit, void *with) {
    state *s = table;
    for (int i = 0; i < s->row_count; i++)
        if (!visit(with, &s->rows[i])) return 0;
    return 1;
}
static int32_t clear(void *table) { ((state *)table)->row_count = 0; return SUCCESS; }
static int32_t erase(void *table, const data *key) {
    state *s = table;
    colour *row = find(s, key->u64);
    if (!row) { fail(s, "there is no such colour to erase"); return FAILURE; }
    *row = s->rows[--s->row_count];
    return SUCCESS;
}
static void *create(void *table) {
    state *s = table;
    memset(&s->draft, 0, sizeof s->draft);
    return &s->draft;
}
static void *add(void *table, const data *key, void *entry) {
    state *s = table;
    colour *row = find(s, key->u64);
    if (!row) row = &s->rows[s->row_count++];
    *row = *(colour *)entry;
    row->key = key->u64;
    return row;
}
static int32_t write_field(void *table, void *entry, const void *field, const data *in) {
    (void)table;
    colour *row = entry;
    if (field == &handles[0]) snprintf(row->name, sizeof row->name, "%s", in->text);
    else row->count = in->u64;
    return SUCCESS;
}
static reader READER = {table_name, table_size, get_entry, read_field, release, iterate};
static writer WRITER = {clear, erase, create, release, add, write_field};
static fields_table FIELDS = {list_fields, get_field, add_field};

static table_input own_table(state *s) {
    table_input own = {"colours", U64, s, {table_name, table_size, get_entry, read_field}, WRITER, FIELDS, &READER, &WRITER, &FIELDS};
    return own;
}

/* ---- init */
static void ask(state *s) {
    const init_tables *t = s->tables;
    uint32_t count = 0;
    const table_info *all = t->list(s->owner, &count);
    for (uint32_t i = 0; i < count; i++) say(s, "table %s by %u", all[i].name, all[i].key);
    ASK("threads by text", t->get(s->owner, "threads", TEXT));
    ASK("threads by 99", t->get(s->owner, "threads", 99));
    say(s, "another table: %s", given(t->get(s->owner, "others", S64)));
    ASK("no name", t->get(s->owner, NULL, S64));
    void *threads = t->get(s->owner, "threads", S64);
    say(s, "threads: %s, again the same: %d", given(threads), threads == t->get(s->owner, "threads", TEXT));
    say(s, "name %s", t->reader->name(threads));
    const field_info *fields = t->fields->list(threads, &count);
    say(s, "%u fields, first %s, last %s", count, fields[0].name, fields[count - 1].name);
    static const struct { const char *name; uint32_t type; } GET[] = {
        {"pid", U64}, {"pid", S64}, {"pid", U64}, {"nothing", U8}, {"env", TEXT}, {"env", TABLE}, {"pid", 77}};
    for (size_t i = 0; i < sizeof GET / sizeof *GET; i++) {
        void *got = t->fields->get(threads, GET[i].name, GET[i].type);
        say(s, "get %s as %u: %s%s%s", GET[i].name, GET[i].type, given(got), got ? "" : ": ", got ? "" : why(s));
    }
    static const struct { const char *name; uint32_t type; } ADD[] = {
        {"more", U64}, {"more", U64}, {"more", TEXT}, {"comm", TEXT}, {"sub", TABLE}, {"odd", 77}, {"container_id", TEXT}};
    for (size_t i = 0; i < sizeof ADD / sizeof *ADD; i++) {
        void *got = t->fields->add(threads, ADD[i].name, ADD[i].type);
        say(s, "add %s as %u: %s%s%s", ADD[i].name, ADD[i].type, given(got), got ? "" : ": ", got ? "" : why(s));
    }
    const reader *r = t->reader;
    const writer *w = t->writer;
    void *tid = t->fields->get(threads, "tid", S64), *comm = t->fields->get(threads, "comm", TEXT);
    void *cwd = t->fields->get(threads, "cwd", TEXT), *env = t->fields->get(threads, "env", TABLE);
    void *more = t->fields->get(threads, "more", U64), *fds = t->fields->get(threads, "file_descriptors", TABLE);
    data key = {.s64 = 4242}, d;
    void *draft = w->create(threads);
    say(s, "create: %s, size %llu", given(draft), (unsigned long long)r->size(threads));
    void *entry = w->add(threads, &key, draft);
    say(s, "add: %s, size %llu", given(entry), (unsigned long long)r->size(threads));
    ASK("add again", w->add(threads, &key, draft));
    w->destroy(threads, entry);
    say(s, "destroy what is added: %s", why(s));
    r->read(threads, entry, tid, &d);
    say(s, "tid %lld", (long long)d.s64);
    r->read(threads, entry, more, &d);
    say(s, "more %llu", (unsigned long long)d.u64);
    d.text = "red";
    int32_t code = w->write(threads, entry, comm, &d);
    d.text = NULL;
    r->read(threads, entry, comm, &d);
    say(s, "comm written %d, read %s", code, d.text);
    d.text = NULL;
    code = w->write(threads, entry, comm, &d);
    r->read(threads, entry, comm, &d);
    say(s, "comm written %d with null, read [%s]", code, d.text);
    d.text = "/";
    code = w->write(threads, entry, cwd, &d);
    say(s, "cwd written %d: %s", code, why(s));
    code = w->write(threads, entry, env, &d);
    say(s, "env written %d: %s", code, why(s));
    code = r->read(threads, entry, (void *)12345, &d);
    say(s, "a field made up: %d: %s", code, why(s));
    code = r->read(threads, (void *)12345, comm, &d);
    say(s, "an entry made up: %d: %s", code, why(s));
    code = r->read(threads, NULL, comm, NULL);
    say(s, "nothing at all: %d: %s", code, why(s));
    if (r->read(threads, entry, fds, &d) == SUCCESS) {
        void *files = d.table;
        void *name = t->fields->get(files, "name", TEXT), *seen = t->fields->add(files, "seen", U64);
        say(s, "%s: size %llu, name %s, new field %s", r->name(files), (unsigned long long)r->size(files), given(name), given(seen));
        void *file = w->create(files);
        key.s64 = 3, d.text = "/etc/motd";
        w->write(files, file, name, &d);
        file = w->add(files, &key, file);
        r->read(files, file, name, &d);
        say(s, "file 3 is %s, size %llu", d.text, (unsigned long long)r->size(files));
        code = r->read(files, file, comm, &d);
        say(s, "a field of another table: %d: %s", code, why(s));
    }
    if (r->read(threads, entry, env, &d) == SUCCESS) {
        void *list = d.table, *value = t->fields->get(list, "value", TEXT);
        ASK("env: other field", t->fields->get(list, "first", TEXT));
        ASK("env: other type", t->fields->get(list, "value", U8));
        ASK("env: new field", t->fields->add(list, "x", U8));
        key.u64 = 0;
        void *text = w->add(list, &key, w->create(list));
        d.text = "A=1";
        w->write(list, text, value, &d);
        r->read(list, text, value, &d);
        say(s, "env 0 is %s, size %llu", d.text, (unsigned long long)r->size(list));
    }
    key.s64 = 4243;
    ASK("absent", r->get(threads, &key));
    code = w->erase(threads, &key);
    say(s, "erase absent: %d: %s", code, why(s));
    ASK("no key", r->get(threads, NULL));
    key.s64 = 4242;
    code = w->erase(threads, &key);
    code += r->read(threads, entry, tid, &d) * 10;
    say(s, "erased %d: %s", code, why(s));
    code = w->clear(threads);
    say(s, "clear %d, size %llu", code, (unsigned long long)r->size(threads));
    say(s, "no table: %llu, %s", (unsigned long long)r->size(NULL), given(r->get(NULL, &key)));
}

static void broken(state *s, int fault) {
    table_input t = own_table(s);
    reader r = READER;
    writer w = WRITER;
    switch (fault) {
    case 1: t.name = NULL; break;
    case 2: t.reader = NULL; break;
    case 3: t.fields = NULL; break;
    case 4: r.iterate = NULL, t.reader = &r; break;
    case 5: t.old_reader.size = NULL; break;
    case 6: w.clear = NULL, t.writer = &w; break;
    case 7: t.old_fields.get = NULL; break;
    case 8: t.key = 99; break;
    case 9: t.name = "threads"; break;
    case 10: s->tables->add(s->owner, &t); break;
    }
    int32_t code = s->tables->add(s->owner, fault ? &t : NULL);
    say(s, "table with fault %d: %s", fault, code == SUCCESS ? "taken" : why(s));
}

API const char *plugin_get_required_api_version(void) { return NEEDS; }
API const char *plugin_get_name(void) { return NAME; }
API const char *plugin_get_description(void) { return "uses tables"; }
API const char *plugin_get_contact(void) { return "-"; }
API const char *plugin_get_version(void) { return "0.1.0"; }
API const char *plugin_get_last_error(void *p) { return ((state *)p)->error; }
API void plugin_destroy(void *p) { free(p); }
API void *plugin_init(const init_input *in, int32_t *code) {
    state *s = calloc(1, sizeof *s);
    s->why = in->last_error, s->log = in->log, s->owner = in->owner, s->tables = in->tables;
    *code = SUCCESS;
    const init_tables *t = s->tables;
    s->read = t->reader, s->write = t->writer;
    if (strstr(in->config, "ask")) ask(s);
    for (const char *at = in->config; (at = strstr(at, "broken=")); at++) broken(s, atoi(at + 7));
    if (strstr(in->config, "own")) {
        table_input own = own_table(s);
        if (t->add(s->owner, &own) != SUCCESS) { fail(s, why(s)); *code = FAILURE; }
    }
    if (strstr(in->config, "guest") || strstr(in->config, "own")) {
        s->colours = t->get(s->owner, "colours", U64);
        if (!s->colours) { fail(s, "there are no colours"); *code = FAILURE; return s; }
        s->colour_name = t->fields->get(s->colours, "name", TEXT);
        s->colour_count = t->fields->get(s->colours, "count", U64);
    }
    if (strstr(in->config, "guest")) {
        data key = {.u64 = 5};
        say(s, "colours %s, size %llu", t->reader->name(s->colours), (unsigned long long)t->reader->size(s->colours));
        ASK("no colour", t->reader->get(s->colours, &key));
        ASK("no field", t->fields->get(s->colours, "size", U64));
        ASK("new field", t->fields->add(s->colours, "size", U64));
        ASK("new table", t->fields->add(s->colours, "size", TABLE));
        int32_t erased = t->writer->erase(s->colours, &key);
        say(s, "erase: %d: %s", erased, why(s));
    }
    s->threads = t->get(s->owner, "threads", S64);
    s->tid = t->fields->get(s->threads, "tid", S64);
    s->comm = t->fields->get(s->threads, "comm", TEXT);
    s->files = t->fields->get(s->threads, "file_descriptors", TABLE);
    s->env = t->fields->get(s->threads, "env", TABLE);
    s->count = t->fields->add(s->threads, "events", U64);
    s->note = t->fields->add(s->threads, "note", TEXT);
    void *draft = t->writer->create(s->threads);
    data d;
    t->reader->read(s->threads, draft, s->files, &d);
    s->file_name = t->fields->get(d.table, "name", TEXT);
    t->reader->read(s->threads, draft, s->env, &d);
    s->value = t->fields->get(d.table, "value", TEXT);
    /* Neither the draft nor the tables below it are released. */
    return s;
}

/* ---- events */
API const char *plugin_get_parse_event_sources(void) { return "[\"syscall\"]"; }
static void *from_a_thread(void *p) {
    state *s = p;
    data key = {.s64 = 7};
    void *entry = s->read->get(s->threads, &key);
    snprintf(s->text, sizeof s->text, "%s: %s", given(entry), why(s));
    return NULL;
}
API int32_t plugin_parse_event(void *p, const event_input *event, const parse_input *in) {
    state *s = p;
    data key, d;
    if (s->kept) {
        int32_t code = in->reader->read(s->threads, s->kept, s->tid, &d);
        say(s, "an entry of the call before: %d: %s", code, in->last_error(in->owner));
    }
    key.s64 = (int64_t)event->event->ts % 100;
    void *entry = in->reader->get(s->threads, &key);
    if (!entry) { fail(s, "no thread"); return FAILURE; }
    in->reader->read(s->threads, entry, s->count, &d);
    d.u64++;
    in->writer->write(s->threads, entry, s->count, &d);
    d.text = "seen";
    in->writer->write(s->threads, entry, s->note, &d);
    d.text = "parsed";
    in->writer->write(s->threads, entry, s->comm, &d);
    if (s->colours) {
        key.u64 = event->event->type;
        void *colour = in->reader->get(s->colours, &key);
        if (!colour) colour = in->writer->add(s->colours, &key, in->writer->create(s->colours));
        in->reader->read(s->colours, colour, s->colour_count, &d);
        d.u64++;
        in->writer->write(s->colours, colour, s->colour_count, &d);
        d.text = NAME;
        in->writer->write(s->colours, colour, s->colour_name, &d);
        in->reader->release(s->colours, colour);
    }
    pthread_t thread;
    if (!s->text[0] && !pthread_create(&thread, NULL, from_a_thread, s)) {
        pthread_join(thread, NULL);
        say(s, "from a thread of its own: %s", s->text);
    }
    s->kept = entry;
    return SUCCESS;
}

API const char *plugin_get_extract_event_sources(void) { return "[\"syscall\"]"; }
#define FIELD(name) "{\"name\":\"tables." name "\",\"type\":\"string\",\"desc\":\"a value\"}"
API const char *plugin_get_fields(void) { return "[" FIELD("note") "," FIELD("files") "," FIELD("write") "," FIELD("colours") "]"; }
typedef struct {
    state *s;
    const reader *r;
    void *table, *field;
    int stop_after;
} walk;
static boolean collect(void *with, void *entry) {
    walk *w = with;
    data d;
    if (w->r->read(w->table, entry, w->field, &d) != SUCCESS) return 0;
    size_t len = strlen(w->s->text);
    snprintf(w->s->text + len, sizeof w->s->text - len, "%s,", d.text);
    return --w->stop_after > 0;
}
API int32_t plugin_extract_fields(void *p, const event_input *event, const table_extract_input *in) {
    state *s = p;
    static const char *values[1];
    field *f = in->fields;
    data key = {.s64 = (int64_t)event->event->ts % 100}, d;
    s->text[0] = 0;
    f->count = 0;
    values[0] = s->text;
    void *entry = in->reader->get(s->threads, &key);
    if (!entry) return FAILURE;
    if (!strcmp(f->name, "tables.note")) {
        in->reader->read(s->threads, entry, s->count, &d);
        uint64_t count = d.u64;
        in->reader->read(s->threads, entry, s->note, &d);
        snprintf(s->text, sizeof s->text, "%llu %s", (unsigned long long)count, d.text);
    } else if (!strcmp(f->name, "tables.files")) {
        in->reader->read(s->threads, entry, s->files, &d);
        walk w = {s, in->reader, d.table, s->file_name, 2};
        in->reader->iterate(d.table, collect, &w);
    } else if (!strcmp(f->name, "tables.write")) {
        d.text = "x";
        int32_t code = s->write->write(s->threads, entry, s->comm, &d);
        snprintf(s->text, sizeof s->text, "%d: %s", code, in->last_error(in->owner));
    } else if (s->colours) {
        walk w = {s, in->reader, s->colours, s->colour_name, 9};
        in->reader->iterate(s->colours, collect, &w);
    }
    f->values.text = values;
    f->count = 1;
    return SUCCESS;
}
