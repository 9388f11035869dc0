-- Rules files and configurations have a type of their own, so that the language server starts for
-- them and not for other YAML. What is set for YAML, such as highlighting, applies too.
vim.filetype.add({
  filename = { ['falco.yaml'] = 'yaml.falco' },
  pattern = {
    ['.*_rules.*%.ya?ml'] = 'yaml.falco',
    ['.*/falco/rules%.d/.*%.ya?ml'] = 'yaml.falco',
    ['.*/falco/config%.d/.*%.ya?ml'] = 'yaml.falco',
  },
})
