/* The plugin ABI 3.12 in the words of these tests: layouts and numbers only. */
#ifndef ABI_H
#define ABI_H
#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))
#ifdef __cplusplus
#define API extern "C" EXPORT
#else
#define API EXPORT
#endif

typedef uint32_t boolean;
enum { SUCCESS = 0, FAILURE = 1, TIMEOUT = -1, END = 2, NOT_SUPPORTED = 3 };
enum { PLUGIN_EVENT = 322 };

#pragma pack(push, 1)
typedef struct {
    uint64_t ts, tid;
    uint32_t len;
    uint16_t type;
    uint32_t params;
} header; /* lengths of four bytes each and the values follow */
#pragma pack(pop)

typedef struct {
    const header *event;
    uint64_t number;
    const char *source;
} event_input;

typedef struct {
    uint32_t len;
    const void *at;
} buffer;

typedef struct {
    union {
        const char **text;
        uint64_t *number;
        boolean *truth;
        buffer *bytes;
        void *any;
    } values;
    uint64_t count;
    uint32_t id;
    const char *name, *key;
    uint64_t index;
    boolean has_argument;
    uint32_t type;
    boolean list;
} field;

typedef struct {
    void *owner;
    const char *(*last_error)(void *owner);
    uint32_t count;
    field *fields;
    void *reader[4], *reader_ext, *offsets;
} extract_input;

typedef void (*log_function)(void *owner, const char *component, const char *text, uint32_t severity);

typedef struct {
    const char *config;
    void *owner;
    const char *(*last_error)(void *owner);
    const void *tables;
    log_function log;
} init_input;

typedef struct {
    const char *name;
    uint32_t kind;
    union {
        uint32_t u32;
        int32_t s32;
        uint64_t u64;
        int64_t s64;
        double d;
        float f;
        int i;
    } value;
    uint32_t type;
} metric;
#endif
