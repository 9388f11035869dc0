/* Tables, async events and routines of the plugin ABI 3.12: layouts and numbers only. */
#ifndef TABLES_H
#define TABLES_H
#include "abi.h"

enum { S8 = 1, S16, S32, S64, U8, U16, U32, U64, TEXT, TABLE, TRUTH = 25 };
enum { ASYNC_EVENT = 402 };

typedef union {
    int8_t s8;
    int16_t s16;
    int32_t s32;
    int64_t s64;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    const char *text;
    boolean truth;
    void *table;
} data;

typedef struct {
    const char *name;
    uint32_t type;
    boolean read_only;
} field_info;

typedef struct {
    const char *name;
    uint32_t key;
} table_info;

typedef boolean (*visitor)(void *with, void *entry);

typedef struct {
    const field_info *(*list)(void *table, uint32_t *count);
    void *(*get)(void *table, const char *name, uint32_t type);
    void *(*add)(void *table, const char *name, uint32_t type);
} fields_table;

typedef struct {
    const char *(*name)(void *table);
    uint64_t (*size)(void *table);
    void *(*get)(void *table, const data *key);
    int32_t (*read)(void *table, void *entry, const void *field, data *out);
} old_reader;

typedef struct {
    const char *(*name)(void *table);
    uint64_t (*size)(void *table);
    void *(*get)(void *table, const data *key);
    int32_t (*read)(void *table, void *entry, const void *field, data *out);
    void (*release)(void *table, void *entry);
    boolean (*iterate)(void *table, visitor visit, void *with);
} reader;

typedef struct {
    int32_t (*clear)(void *table);
    int32_t (*erase)(void *table, const data *key);
    void *(*create)(void *table);
    void (*destroy)(void *table, void *entry);
    void *(*add)(void *table, const data *key, void *entry);
    int32_t (*write)(void *table, void *entry, const void *field, const data *in);
} writer;

typedef struct {
    const char *name;
    uint32_t key;
    void *table;
    old_reader old_reader;
    writer old_writer;
    fields_table old_fields;
    const reader *reader;
    const writer *writer;
    const fields_table *fields;
} table_input;

typedef struct {
    table_info *(*list)(void *owner, uint32_t *count);
    void *(*get)(void *owner, const char *name, uint32_t key);
    int32_t (*add)(void *owner, const table_input *table);
    fields_table old_fields;
    const fields_table *fields;
    const reader *reader;
    const writer *writer;
} init_tables;

typedef struct {
    void *owner;
    const char *(*last_error)(void *owner);
    old_reader old_reader;
    writer old_writer;
    const reader *reader;
    const writer *writer;
} parse_input;

typedef struct {
    void *owner;
    const char *(*last_error)(void *owner);
    uint32_t count;
    field *fields;
    old_reader old_reader;
    const reader *reader;
    void *offsets;
} table_extract_input;

typedef boolean (*routine)(void *state, void *with);

typedef struct {
    void *(*subscribe)(void *owner, routine function, void *with);
    int32_t (*unsubscribe)(void *owner, void *routine);
} routines;

typedef struct {
    void *owner;
    const routines *routines;
    const reader *reader;
    const writer *writer;
    const char *(*last_error)(void *owner);
} capture_input;

typedef int32_t (*async_handler)(void *owner, const header *event, char *error);
#endif
