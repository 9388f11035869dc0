-- `peregrine lsp` for Falco rules and falco.yaml. Neovim 0.11 reads this file from `lsp/` in its
-- runtime path after `vim.lsp.enable('peregrine')`.
return {
  name = 'peregrine',
  cmd = { 'peregrine', 'lsp' },
  filetypes = { 'yaml.falco' },
  root_markers = { 'falco.yaml', '.git' },
  -- The file type is for the editor; the server knows files by their content.
  get_language_id = function()
    return 'yaml'
  end,
  -- All are optional:
  -- init_options = { config = '/etc/falco/falco.yaml', rules = { 'rules.d' }, capture = 'trace.scap' },
}
