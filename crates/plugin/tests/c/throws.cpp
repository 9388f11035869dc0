/* A plugin from which exceptions leave. */
#include "abi.h"
#include <stdexcept>

API const char *plugin_get_required_api_version() { return "3.0.0"; }
API const char *plugin_get_name() { return "throws"; }
API const char *plugin_get_description() { return "throws"; }
API const char *plugin_get_contact() { return ""; }
API const char *plugin_get_version() { return "0.1.0"; }
API const char *plugin_get_fields() { return "[{\"name\":\"t.x\",\"type\":\"string\",\"desc\":\"d\"}]"; }
API const char *plugin_get_last_error(void *) { return ""; }
API void *plugin_init(const init_input *in, int *rc) {
    if (in->config[0] == 'i') throw std::runtime_error("from init");
    *rc = SUCCESS;
    static int state;
    return &state;
}
API void plugin_destroy(void *) {}
API int plugin_extract_fields(void *, const event_input *, const extract_input *) { throw std::runtime_error("from extract_fields"); }
